"""From what a data set states to what can be used of it: every box is held against its image file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ablab.errors import DataError, suggest
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.formats.layout import SPLITS, Layout
from ablab.tasks.detection.formats.layouts import units
from ablab.tasks.detection.formats.layouts.draft import Draft, Source
from ablab.tasks.detection.formats.reading import measure

# By how much a box may cross the border because numbers were rounded when they were written; it is cut in silence.
SLACK = {"pixels": (0.02, 0.0), "shares": (0.02, 1e-4)}  # pixels, share of the side


def settle(source: Source) -> Layout:
    """Read the headers of all images and judge all boxes; no pixels are decoded.

    Headers are read one after the other: a header takes 45 us, and threads take twice that by fighting over the
    interpreter's lock. The size that a file states is never trusted, since every box depends on it.
    """
    defects = [*source.defects, *_shared(source.splits)]
    strange: list[_Strange] = []
    usable: dict[int, Annotation | None] = {}
    sizes: dict[Path, tuple[int, int] | Defect] = {}
    for draft in _each(source.splits):
        if id(draft) not in usable:
            usable[id(draft)] = _usable(draft, source, sizes, defects, strange)
    defects += _explained(strange)
    splits = {
        split: tuple(a for draft in drafts if (a := usable[id(draft)]) is not None)
        for split, drafts in source.splits.items()
    }
    classes = source.declared or _met(source.names, splits)
    if classes != source.names:
        splits = _placed(source, classes, splits, defects)
    if "all" not in splits:
        splits = {split: splits.get(split, ()) for split in SPLITS}
    return Layout(source.kind, source.root, classes, splits, tuple(defects))


class _Strange:
    """A box in a wrong unit, kept until all of them are known: together they tell the unit."""

    def __init__(self, where: str, name: str, row: np.ndarray, size: tuple[int, int]) -> None:
        self.where, self.name, self.row, self.size = where, name, row, size


def _each(splits: dict[str, list[Draft]]) -> Iterable[Draft]:
    return (draft for drafts in splits.values() for draft in drafts)


def _shared(splits: dict[str, list[Draft]]) -> Iterable[Defect]:
    found: dict[str, list[str]] = {}
    for split, drafts in splits.items():
        for id in dict.fromkeys(draft.id for draft in drafts):
            found.setdefault(id, []).append(split)
    return (Defect("id in two splits", id, f"it is in {' and '.join(s)}") for id, s in found.items() if len(s) > 1)


def _usable(
    draft: Draft,
    source: Source,
    sizes: dict[Path, tuple[int, int] | Defect],
    defects: list[Defect],
    strange: list[_Strange],
) -> Annotation | None:
    """An image with the boxes that can be used; None, with a defect, where the image cannot."""
    if draft.problem is not None:
        defects.append(draft.problem)
        return None
    if draft.path not in sizes:
        sizes[draft.path] = _measured(draft)
    size = sizes[draft.path]
    if isinstance(size, Defect):
        defects.append(size)
        return None
    if not _fits(draft, size, defects):
        return None
    boxes, kept = _boxes(draft, source, size, defects, strange)
    boxes = boxes[kept]
    own = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    area = np.where(np.isnan(draft.area[kept]), own, draft.area[kept])
    return Annotation(
        draft.id,
        draft.path,
        *size,
        boxes=boxes,
        labels=draft.labels[kept],
        difficult=draft.difficult[kept],
        crowd=draft.crowd[kept],
        group=draft.group,
        area=None if np.array_equal(area, own) else area,  # kept where it says more than the box does
    )


def _measured(draft: Draft) -> tuple[int, int] | Defect:
    try:
        return measure(draft.path)
    except DataError as error:
        kind = "unreadable image" if draft.path.is_file() else "missing image"
        return Defect(kind, draft.id, str(error))


def _fits(draft: Draft, size: tuple[int, int], defects: list[Defect]) -> bool:
    """Whether the stated size is the image's. A size of 0, as some tools write, says nothing."""
    stated = draft.size
    if stated is None or stated == size or not any(side > 0 for side in stated):
        return True
    detail = f"annotated as {stated[0]:g} x {stated[1]:g}, but the image is {size[0]} x {size[1]}"
    defects.append(Defect("size differs", draft.id, f"{detail}: its boxes may stand elsewhere"))
    return False


def _boxes(
    draft: Draft, source: Source, size: tuple[int, int], defects: list[Defect], strange: list[_Strange]
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes x1 y1 x2 y2 in pixels inside the image (N, 4), and which of them can be used (N,)."""
    raw = draft.boxes
    wrong = units.not_shares(raw) if source.unit == "shares" else units.not_pixels(raw)
    for i in np.flatnonzero(wrong):
        strange.append(_Strange(draft.id, source.names[draft.labels[i]], raw[i], size))
    high = np.array([*size, *size], np.float64)
    boxes = np.where(wrong[:, None], 0.0, raw)
    if source.unit == "shares":
        half = boxes[:, 2:] / 2
        boxes = np.hstack([boxes[:, :2] - half, boxes[:, :2] + half]) * high
    pixels, share = SLACK[source.unit]
    inside = np.clip(boxes, 0, high)
    boxes = np.where(np.abs(boxes - inside) <= pixels + share * high, inside, boxes)
    kept = ~wrong & (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
    for i in np.flatnonzero(~wrong & ~(kept & (boxes == inside).all(1))):
        x1, y1, x2, y2 = boxes[i].tolist()
        kind = judge((x1, y1, x2, y2), *size)
        name = source.names[draft.labels[i]]
        detail = f"{name} at {x1:g}, {y1:g}, {x2:g}, {y2:g} in an image of {size[0]} x {size[1]}"
        defects.append(Defect(kind, draft.id, detail))
        kept[i] = kind == "box partly outside"
    return np.clip(boxes, 0, high), kept


def judge(box: tuple[float, float, float, float], width: int, height: int) -> str:
    """What is wrong with a box in an image, as the kind of a defect; '' where nothing is."""
    x1, y1, x2, y2 = box
    if x2 < x1 or y2 < y1:
        return "inverted box"
    if x2 == x1 or y2 == y1:
        return "box without area"
    if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        return "box outside"
    return "box partly outside" if x1 < 0 or y1 < 0 or x2 > width or y2 > height else ""


def _explained(strange: list[_Strange]) -> Iterable[Defect]:
    if not strange:
        return
    rows = np.array([s.row for s in strange])
    if (rows <= 1).all():
        unit = "it looks like shares of the image's width and height"
    else:
        unit = units.guess(rows, np.array([s.size for s in strange], np.float64))
    for s in strange:
        numbers = ", ".join(f"{number:g}" for number in s.row)
        yield Defect("wrong units", s.where, f"{s.name} at {numbers} in an image of {s.size[0]} x {s.size[1]}: {unit}")


def _met(names: tuple[str, ...], splits: dict[str, tuple[Annotation, ...]]) -> tuple[str, ...]:
    """The sorted names of the boxes that can be used in train; in all splits where there is no train."""
    pool = splits["train"] if "train" in splits else [a for found in splits.values() for a in found]
    return tuple(sorted({names[label] for a in pool for label in a.labels}))


def _placed(
    source: Source, classes: tuple[str, ...], splits: dict[str, tuple[Annotation, ...]], defects: list[Defect]
) -> dict[str, tuple[Annotation, ...]]:
    """The splits with labels that count in `classes`, without the boxes of others."""
    index = {name: label for label, name in enumerate(classes)}
    place = np.array([index.get(name, -1) for name in source.names], np.int64)
    done: dict[int, Annotation] = {}
    for annotation in (a for found in splits.values() for a in found):
        if id(annotation) not in done:
            done[id(annotation)] = _known(annotation, source, classes, place, defects)
    return {split: tuple(done[id(a)] for a in found) for split, found in splits.items()}


def _known(
    a: Annotation, source: Source, classes: tuple[str, ...], place: np.ndarray, defects: list[Defect]
) -> Annotation:
    labels = place[a.labels]
    known = labels >= 0
    for label in a.labels[~known]:
        name = source.names[label]
        lacks = "the class list lacks" if source.declared else "train has no box of class"
        defects.append(Defect("unknown class", a.id, f"{lacks} '{name}'{suggest(name, classes)}"))
    return replace(
        a,
        boxes=a.boxes[known],
        labels=labels[known],
        difficult=a.difficult[known],
        crowd=a.crowd[known],
        area=None if a.area is None else a.area[known],
    )
