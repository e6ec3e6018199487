"""A data set in another layout, without loss: what was written is read back and compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ablab.errors import DataError, StoreError, UnknownName
from ablab.tasks.detection.formats.compare import difference
from ablab.tasks.detection.formats.defect import sentences
from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.layouts.recognise import PHOTO_DIGITS, find, read_layout
from ablab.tasks.detection.formats.layouts.together import some
from ablab.tasks.detection.formats.leftovers import leftovers
from ablab.tasks.detection.formats.photo_digits import compose
from ablab.tasks.detection.formats.writing import WRITERS, put_by
from ablab.tasks.detection.formats.writing.whole import whole
from ablab.tasks.detection.recipe import DetectionData

Progress = Callable[[str, int, int], None]  # (what, done, all)


@dataclass(frozen=True)
class Conversion:
    """Where it is, images and boxes by split, and sentences on what could not be kept."""

    root: Path
    kind: str
    counts: dict[str, tuple[int, int]]
    notes: tuple[str, ...]


def convert(
    path: str | Path, to: Path, kind: str, link: bool = True, progress: Progress = lambda what, done, total: None
) -> Conversion:
    """Write the data set at `path` (or photo-digits) as voc, coco, yolo or csv into `to`, a new or empty folder.

    With `link`, images are hard links where the file system allows, and copies otherwise. The folder appears when all
    is done. Raises UnknownName for another kind, DataError where the data set cannot be used, StoreError where it
    cannot be written.
    """
    if kind not in WRITERS:
        raise UnknownName("layout", kind, WRITERS)
    layout = open_layout(path, progress)
    _require_one_place(layout)
    total = sum(map(len, layout.splits.values()))
    notes = [*sentences(layout.defects)]
    notes += leftovers(layout, find(path)) if layout.kind in WRITERS else ()
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress("write images", done, total)

    with whole(to) as made:
        WRITERS[kind](layout, made, put_by(link, step))
        written = read_layout(made)
        differs = f"it reads as {written.kind}" if written.kind != kind else difference(layout, written)
        if differs:
            raise StoreError(f"{path} cannot be written as {kind} without loss: {differs}; nothing was left at {to}")
    counts = {split: (len(images), sum(len(a.labels) for a in images)) for split, images in layout.splits.items()}
    return Conversion(to, kind, counts, tuple(notes))


def open_layout(path: str | Path, progress: Progress) -> Layout:
    """The layout at a path, or photo-digits as it is by default."""
    if str(path) == PHOTO_DIGITS and not Path(path).exists():
        classes, splits = compose(DetectionData(), lambda done, total: progress("compose photo-digits", done, total))
        return Layout(PHOTO_DIGITS, Path(PHOTO_DIGITS), classes, splits)
    return read_layout(Path(path))


def _require_one_place(layout: Layout) -> None:
    """Every image in one split: in which folder should it stand otherwise?"""
    split_of: dict[str, str] = {}
    twice = [
        a.id for split, images in layout.splits.items() for a in images if split_of.setdefault(a.id, split) != split
    ]
    if twice:
        raise DataError(
            f"{layout.root}: {some(twice, 'image')} in two splits; take them out of one, or divide anew with "
            "`ablab data split`"
        )
    if not split_of:
        raise DataError(f"{layout.root}: no image that can be used; `ablab data check` says why")
