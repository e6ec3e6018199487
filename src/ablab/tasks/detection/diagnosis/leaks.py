"""Images that stand in two splits, or twice in one: what they are, and how far they flatter a score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ablab.contracts import Items
from ablab.tasks.detection.formats.check.copies import Member, copy_defects
from ablab.tasks.detection.formats.check.images import Look, look_at_all
from ablab.tasks.detection.formats.dataset import Dataset
from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.metrics.figures import Figure, averages

BETWEEN = ("same image in two splits", "near-duplicate in two splits", "id in two splits")


@dataclass(frozen=True)
class SplitLeaks:
    """Of a split: its images, those that an earlier split has, too (`leaked`, their ids), and the share that they are;
    `repeated` are ids of images like an earlier one of this split. Splits stand in the order train, validation, test.
    `in_train` are those of `leaked` that train has.
    """

    images: int
    leaked: tuple[str, ...]
    share: float
    repeated: tuple[str, ...]
    in_train: tuple[str, ...] = ()


@dataclass(frozen=True)
class Leaks:
    """Copies by split, and each as `ablab data check` says it. `copies` are the files of train's images that validation
    or test has, too: without them train is honest."""

    splits: dict[str, SplitLeaks]
    found: tuple[Defect, ...]
    copies: tuple[Path, ...] = ()


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
    seen = dict(zip(members, looks, strict=True))
    return Leaks(
        {split: _of(split, dataset, found, seen) for split in dataset.splits},
        tuple(defect for _, defect in found),
        _copies(dataset, [split for split in dataset.splits if split != "train"], "train", seen),
    )


def _copies(dataset: Dataset, known: Sequence[str], split: str, looks: Mapping[Path, Look]) -> tuple[Path, ...]:
    """The files of `split` whose picture one of the splits `known` has, too.

    `copy_defects` names the later one of two, so those come first that are not asked about.
    """
    others = {a.path: Member("others", a) for name in known for a in dataset.splits[name]}
    mine = {a.path: Member(split, a) for a in dataset.splits.get(split, ())}
    members = [*others.values(), *(member for path, member in mine.items() if path not in others)]
    path_of = {member.image.id: path for path, member in mine.items()}
    named = copy_defects(members, [looks[member.image.path] for member in members])
    copies = {path_of[defect.where] for defect in named if defect.kind in BETWEEN}
    return tuple(path for path in mine if path in others or path in copies)


def _of(split: str, dataset: Dataset, found: list[tuple[str, Defect]], looks: Mapping[Path, Look]) -> SplitLeaks:
    images = len(dataset.splits[split])
    mine = [defect for at, defect in found if at == split]
    leaked = tuple(dict.fromkeys(d.where for d in mine if d.kind in BETWEEN))
    repeated = tuple(dict.fromkeys(d.where for d in mine if d.kind not in BETWEEN))
    in_train: tuple[str, ...] = ()
    if leaked and split != "train":
        copies = {*_copies(dataset, ["train"], split, looks)}
        in_train = tuple(a.id for a in dataset.splits[split] if a.path in copies)
    return SplitLeaks(images, leaked, len(leaked) / images if images else float("nan"), repeated, in_train)


def flattered(items: Items, leaked: tuple[str, ...]) -> tuple[float, float]:
    """AP50 of a split's evidence on all images, and on those alone that did not leak; NaN where no truth is left."""
    weights = np.stack([np.ones(len(items["images"])), ~np.isin(items["images"], leaked)]).astype(np.float64)
    everything, honest = averages(items, weights, {"AP50": Figure(step=0)}, (1,))["AP50"].tolist()
    return everything, honest
