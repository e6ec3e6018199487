"""Images that stand in two splits, or twice in one: what they are, and how far they flatter a score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ablab.contracts import Items
from ablab.tasks.detection.formats.check.copies import Member, copy_defects
from ablab.tasks.detection.formats.check.images import look_at_all
from ablab.tasks.detection.formats.dataset import Dataset
from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.metrics.figures import Figure, averages

BETWEEN = ("same image in two splits", "near-duplicate in two splits", "id in two splits")


@dataclass(frozen=True)
class SplitLeaks:
    """Of a split: its images, those that an earlier split has, too (`leaked`, their ids), and the share that they are;
    `repeated` are ids of images like an earlier one of this split. Splits stand in the order train, validation, test.
    """

    images: int
    leaked: tuple[str, ...]
    share: float
    repeated: tuple[str, ...]


@dataclass(frozen=True)
class Leaks:
    """Copies by split, and each as `ablab data check` says it."""

    splits: dict[str, SplitLeaks]
    found: tuple[Defect, ...]


def leaks(dataset: Dataset, progress: Callable[[int, int], None] | None = None, workers: int | None = None) -> Leaks:
    """Search a data set for copies, by `formats.check.copies`; every image is decoded once.

    An image that cannot be read is passed over. `progress` and `workers` as in `check`.
    """
    members: dict[Path, Member] = {}
    found: list[tuple[str, Defect]] = []
    for split, images in dataset.splits.items():
        for annotation in images:
            first = members.setdefault(annotation.path, Member(split, annotation))
            if first.split != split:
                found.append((split, Defect(BETWEEN[2], annotation.id, f"it is in {first.split} and {split}")))
    home = {member.image.id: member.split for member in members.values()}
    looks = look_at_all([*members], progress, workers)
    found += [(home[defect.where], defect) for defect in copy_defects([*members.values()], looks)]
    return Leaks({split: _of(split, dataset, found) for split in dataset.splits}, tuple(defect for _, defect in found))


def _of(split: str, dataset: Dataset, found: list[tuple[str, Defect]]) -> SplitLeaks:
    images = len(dataset.splits[split])
    mine = [defect for at, defect in found if at == split]
    leaked = tuple(dict.fromkeys(d.where for d in mine if d.kind in BETWEEN))
    repeated = tuple(dict.fromkeys(d.where for d in mine if d.kind not in BETWEEN))
    return SplitLeaks(images, leaked, len(leaked) / images if images else float("nan"), repeated)


def flattered(items: Items, leaked: tuple[str, ...]) -> tuple[float, float]:
    """AP50 of a split's evidence on all images, and on those alone that did not leak; NaN where no truth is left."""
    weights = np.stack([np.ones(len(items["images"])), ~np.isin(items["images"], leaked)]).astype(np.float64)
    everything, honest = averages(items, weights, {"AP50": Figure(step=0)}, (1,))["AP50"].tolist()
    return everything, honest
