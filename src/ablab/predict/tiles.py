"""Large images in windows: where they are cut, and how what is found in them becomes one image's again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ablab.contracts import Objects

MARGIN = 0.02  # of a window's side, two pixels at least: a box that comes so near to a cut is taken to end there
SAME = 0.5  # overlap, where two windows both look, from which on two boxes are one object; SAHI's default, too


@dataclass(frozen=True)
class Tiling:
    """Windows of `size` pixels, of which neighbours share at least the part `overlap` of a side."""

    size: int
    overlap: float = 0.2


def windows(height: int, width: int, tiling: Tiling | None) -> np.ndarray:
    """Where to look: x1 y1 x2 y2 of each window, spread evenly; the whole image is the last.  -> (n, 4) int64

    An image that fits into one window is looked at whole, and once.
    """
    whole = np.array([[0, 0, width, height]])
    if tiling is None or max(height, width) <= tiling.size:
        return whole
    tops, lefts = (_starts(side, tiling) for side in (height, width))
    grid = np.stack(np.meshgrid(lefts, tops), axis=-1).reshape(-1, 2)
    ends = np.minimum(grid + tiling.size, [width, height])
    return np.concatenate([np.hstack([grid, ends]), whole])


def _starts(side: int, tiling: Tiling) -> np.ndarray:
    room = side - tiling.size
    if room <= 0:
        return np.zeros(1, np.int64)
    count = int(np.ceil(room / (tiling.size * (1 - tiling.overlap)))) + 1
    return np.linspace(0, room, count).round().astype(np.int64)


def join(found: Sequence[Objects], places: np.ndarray, tiling: Tiling, agnostic: bool) -> Objects:
    """What the windows `places` (n, 4) of one image found, each in its own pixels, as the image's, each object once.

    Two boxes of two windows are one object where they agree in what both windows saw. Of those that no window cut the
    best stays, as in non-maximum suppression. A box that ends where its window does is a part: it goes where it agrees
    with a whole one, and parts that agree become the box around them. The whole image, the last of the windows, speaks
    only of objects that two neighbours' overlap may be too small for: it sees the others worse. Labels are kept apart
    unless `agnostic`.
    """
    if len(found) == 1:
        return found[0]
    window = np.repeat(np.arange(len(found)), [len(each.scores) for each in found])
    boxes = np.concatenate([each.boxes for each in found]) + np.tile(places[window, :2], 2)
    scores, labels = (np.concatenate([each[i] for each in found]) for i in (1, 2))
    longest = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    kept = np.flatnonzero((window < len(found) - 1) | (longest > tiling.size * tiling.overlap))
    order = kept[np.argsort(-scores[kept], kind="stable")]
    boxes, scores, labels, seen = boxes[order], scores[order], labels[order], places[window[order]].astype(float)
    cut = _cut(boxes, seen, places[-1])
    groups = [np.arange(len(order))] if agnostic else [np.flatnonzero(labels == label) for label in np.unique(labels)]
    stay = np.sort(np.array([row for rows in groups for row in _once(rows, boxes, seen, cut)], np.int64))
    return Objects(boxes[stay], scores[stay], labels[stay])


def _cut(boxes: np.ndarray, seen: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Whether a box ends where its window does and the image goes on.  (n, 4), (n, 4), (4,) -> (n,)"""
    margin = np.maximum(2, MARGIN * (seen[:, 2:] - seen[:, :2]).max(axis=1, keepdims=True, initial=0))
    return ((np.abs(boxes - seen) <= margin) & (seen != whole)).any(axis=1)


def _once(rows: np.ndarray, boxes: np.ndarray, seen: np.ndarray, cut: np.ndarray) -> Iterator[int]:
    """The rows that stay of some with falling scores. Where parts are joined, their best row's box and window grow."""
    left = rows[np.argsort(cut[rows], kind="stable")]  # whole ones first
    while len(left):
        best, left = left[0], left[1:]
        while len(left):
            same = _agreement(boxes, seen, cut, best, left) >= SAME
            joined, left = left[same], left[~same]
            if not (cut[best] and len(joined)):
                break
            boxes[best] = _around(boxes[best], boxes[joined])  # what is larger may agree with more
            seen[best] = _around(seen[best], seen[joined])
        yield int(best)


def _around(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The box around several.  (4,), (k, 4) -> (4,)"""
    every = np.vstack([one, others])
    return np.concatenate([every[:, :2].min(axis=0), every[:, 2:].max(axis=0)])


def _agreement(boxes: np.ndarray, seen: np.ndarray, cut: np.ndarray, one: int, others: np.ndarray) -> np.ndarray:
    """How far others are the same as one box.  -> (k,) in 0..1

    Of two whole boxes, the intersection over the union. Else the share of the part that the other covers, within what
    both windows saw; of two parts, of the smaller. Boxes of one window are two objects: it has compared them itself.
    """
    either = cut[one] | cut[others]
    low = np.where(either[:, None], np.maximum(seen[one, :2], seen[others, :2]), -np.inf)
    high = np.where(either[:, None], np.minimum(seen[one, 2:], seen[others, 2:]), np.inf)

    def within(box: np.ndarray) -> np.ndarray:
        return np.hstack([np.maximum(box[..., :2], low), np.minimum(box[..., 2:], high)])  # (k, 4)

    def area(box: np.ndarray) -> np.ndarray:
        return np.clip(box[:, 2:] - box[:, :2], 0, None).prod(axis=1)  # (k,)

    first, second = within(boxes[one]), within(boxes[others])
    shared = area(np.hstack([np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])]))
    smallest = np.minimum(np.where(cut[one], area(first), np.inf), np.where(cut[others], area(second), np.inf))
    under = np.where(either, smallest, area(first) + area(second) - shared)
    other_window = (seen[one] != seen[others]).any(axis=1)
    return np.divide(shared, under, out=np.zeros(len(others)), where=(under > 0) & other_window)
