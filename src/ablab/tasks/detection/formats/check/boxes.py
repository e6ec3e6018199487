"""Boxes of one image that are annotated twice or have a size that few objects have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ablab.tasks.detection.boxes import Annotation, area
from ablab.tasks.detection.formats.defect import Defect

SAME = 0.95  # IoU from which two boxes are one, drawn twice
TINY = 3.0  # pixels
THIN = 20.0  # longer side over shorter
WHOLE = 0.95  # share of the image


def box_defects(annotation: Annotation, classes: Sequence[str]) -> Iterator[Defect]:
    """Duplicates and suspicious sizes among the boxes of one image. Crowds are left out: they stand around others."""
    kept = ~annotation.crowd
    boxes, names = annotation.boxes[kept], [classes[label] for label in annotation.labels[kept]]
    if not names:
        return
    yield from _repeated(annotation, boxes, names)
    sides = boxes[:, 2:] - boxes[:, :2]  # (N, 2)
    short, long = sides.min(1), sides.max(1)
    whole = area(boxes) >= WHOLE * annotation.width * annotation.height
    for row in np.flatnonzero((short < TINY) | (long > THIN * short) | whole):
        detail = f"{names[row]} {_place(boxes[row])} is {sides[row, 0]:g} x {sides[row, 1]:g} pixels"
        if short[row] < TINY:
            yield Defect("tiny box", annotation.id, f"{detail}: too few to learn from")
        elif long[row] > THIN * short[row]:
            yield Defect("thin box", annotation.id, f"{detail}: {long[row] / short[row]:.0f} to 1")
        else:
            detail += f", all of an image of {annotation.width} x {annotation.height}"
            yield Defect("box of the whole image", annotation.id, detail)


def _repeated(annotation: Annotation, boxes: np.ndarray, names: Sequence[str]) -> Iterator[Defect]:
    """One defect for each group of boxes that lie on each other, a further one where it has several classes."""
    for rows in _groups(boxes):
        of = [names[row] for row in rows]
        place = _place(boxes[rows[0]])
        for name in dict.fromkeys(of):
            if (times := of.count(name)) > 1:
                yield Defect("duplicate box", annotation.id, f"{name} {place} stands {times} times")
        if len({*of}) > 1:
            yield Defect("box of two classes", annotation.id, f"{' and '.join(dict.fromkeys(of))} share {place}")


def _groups(boxes: np.ndarray) -> Iterator[list[int]]:
    """Rows of boxes that overlap the first of their group by an IoU of `SAME` or more, two at least."""
    order = np.argsort(boxes[:, 0], kind="stable")
    free = np.ones(len(boxes), bool)
    left, size = boxes[order, 0], area(boxes)
    for at, row in enumerate(order):
        if not free[row]:
            continue
        # A box that overlaps that much begins within the part of this one's width that may be missing.
        end = int(np.searchsorted(left, left[at] + (1 - SAME) * (boxes[row, 2] - boxes[row, 0]), "right"))
        others = order[at + 1 : end]
        if not len(others):
            continue
        low, high = np.maximum(boxes[row, :2], boxes[others, :2]), np.minimum(boxes[row, 2:], boxes[others, 2:])
        shared = np.clip(high - low, 0, None).prod(1)
        same = others[free[others] & (shared >= SAME * (size[row] + size[others] - shared))]
        free[same] = False
        if len(same):
            yield sorted([int(row), *same.tolist()])


def _place(box: np.ndarray) -> str:
    x1, y1, x2, y2 = (round(float(value), 2) for value in box)
    return f"at {x1:g}, {y1:g}, {x2:g}, {y2:g}"
