"""From changes to arms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ablab.config import diff, fingerprint, override
from ablab.recipe import Edit, Recipe
from ablab.study.spec import Study

BASELINE = "baseline"


@dataclass(frozen=True)
class Arm:
    """What is trained: the baseline with zero or more changes.

    `stream` names the arm's random streams: the study's for every arm but an A/A one, whose luck is its own.
    """

    name: str
    kind: Literal["baseline", "change", "control"]
    because: str
    recipe: Recipe
    edits: tuple[Edit, ...] = ()
    differences: tuple[str, ...] = ()
    stream: str = ""


def arms(study: Study) -> list[Arm]:
    """The baseline first, then one arm a change, then the controls."""
    made = [Arm(BASELINE, "baseline", "", study.baseline, stream=study.name)]
    for change in study.changes:
        recipe = override(study.baseline, change.set, f"change '{change.name}': set")
        found = [f"{path}: {old} -> {new}" for path, (old, new) in diff(study.baseline, recipe).items()]
        found += [str(edit) for edit in change.edits]
        made.append(Arm(change.name, "change", change.because, recipe, tuple(change.edits), tuple(found), study.name))
    for control in study.controls:
        because = "the baseline again under other streams: no real difference to find"
        made.append(Arm(control, "control", because, study.baseline, stream=f"{study.name}#{control}"))
    return made


def run_fingerprint(arm: Arm, seed: int, manifest: str, plugins: str, version: str) -> str:
    """What names a run: recipe, edits, streams, data, plug-ins and version; not where data lies, nor what changes
    speed alone."""
    recipe: dict[str, Any] = arm.recipe.model_dump(mode="json")
    recipe["data"].pop("path")
    for speed in ("workers", "cache", "cache_gb"):
        recipe["train"].pop(speed)
    edits = [edit.model_dump(mode="json") for edit in arm.edits]
    return fingerprint([recipe, edits, arm.stream, seed, manifest, plugins, version])


def study_fingerprint(study: Study) -> str:
    """What is frozen before the first run: judge, design, arms and seeds."""
    names = [arm.name for arm in arms(study)]
    return fingerprint([study.name, study.judge.model_dump(mode="json"), study.design, names, study.seeds])
