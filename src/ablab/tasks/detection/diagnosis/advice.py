"""Proposals against the findings of a diagnosis: ranked, each one ready or with what a person has to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from ablab.config import diff, override
from ablab.errors import AblabError
from ablab.findings import Case, Chapter, Finding, Proposal
from ablab.registry import make
from ablab.tasks.detection.diagnosis.bounds import Bounds
from ablab.tasks.detection.diagnosis.remedies import REMEDIES, STRIDE, Known
from ablab.tasks.detection.formats.dataset import Dataset
from ablab.tasks.detection.losses.criterion import Criterion
from ablab.tasks.detection.recipe import DetectionRecipe

LEVELS = (STRIDE, 2 * STRIDE, 4 * STRIDE)


def advise(case: Case, chapters: Sequence[Chapter], recipe: DetectionRecipe, dataset: Dataset) -> tuple[Proposal, ...]:
    """What to try, against the worst finding first.

    Proposals that set the same are one, which answers all their faults. None is what the recipe has already, and none
    is refused by it. Without evidence of the case's split there is nothing to bound a gain by, and no proposal.
    """
    if case.split not in case.evidence:
        return ()
    annotations = {image.id: image for image in dataset.splits.get(case.split, ())}
    files = frozenset(name for chapter in chapters for name in chapter.files)
    bounds = Bounds(case.evidence[case.split], annotations)
    known = Known(recipe, dataset, bounds, case.split, case.folder, files)
    found = sorted((f for chapter in chapters for f in chapter.findings), key=lambda f: (-f.severity, f.fault))
    return tuple(_merged([p for finding in found for p in _against(known, finding)]))


def accepts(recipe: DetectionRecipe, change: Mapping[str, Any], classes: int) -> bool:
    """Whether a recipe takes a change, is another one with it, and its losses and its sampler can be made."""
    try:
        changed = override(recipe, change)
        free = changed.model.head == "anchor-free"
        anchors, bins = (None, changed.model.bins) if free else (torch.ones(len(LEVELS), 3, 2), None)
        Criterion.of(changed.loss, LEVELS, classes, anchors=anchors, bins=bins)
        make(changed.data.sampler.part, "sampler", **changed.data.sampler.args)
    except AblabError:
        return False
    return bool(diff(recipe, changed))


def _against(known: Known, finding: Finding) -> list[Proposal]:
    """The proposals against one finding that the recipe takes, in the order of its remedies: the surest comes first."""
    made = [p for remedy in REMEDIES.get(finding.fault, ()) for p in remedy(known, finding)]
    return [p for p in made if not p.set or accepts(known.recipe, p.set, len(known.dataset.classes))]


def _merged(proposals: Sequence[Proposal]) -> list[Proposal]:
    """One of those that set the same, or ask for the same: the first, with the faults of all."""
    kept: dict[tuple[str, str], Proposal] = {}
    for one in proposals:
        key = (repr(sorted(one.set.items(), key=lambda item: item[0])), one.todo)
        first = kept.get(key)
        faults = one.faults if first is None else (*first.faults, *(f for f in one.faults if f not in first.faults))
        kept[key] = replace(one if first is None else first, faults=faults)
    return list(kept.values())
