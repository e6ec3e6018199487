"""From predictions and truths to per-image evidence: flat columns, matched once, scored as often as wanted.

    images                 (I,) ids, in the order in which they were seen
    groups                 (I,) what each is resampled with (a video, a patient); "" for an image by itself
    classes                (K,) names
    detection_image        (D,) row of `images`             rows are sorted by class, then falling score, then image
    detection_label        (D,) row of `classes`
    detection_score        (D,) float64
    detection_box          (D, 4) float32 x1 y1 x2 y2, to draw
    detection_rank         (D,) 0 for the best of its class in its image
    detection_matched      (D,) int64, bit `area * 10 + threshold`: a truth was found
    detection_ignored      (D,) int64, the same bits: neither right nor wrong
    detection_truth        (D,) the row of `truth_*` matched at IoU 0.5, or -1
    truth_image, truth_label, truth_box (G, 4) float64, truth_area, truth_ignore, truth_crowd
                           rows are sorted by image, then class

Areas (all, small, medium, large) and thresholds stand in the order of `settings.AREAS` and `settings.IOU_THRESHOLDS`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ablab.contracts import Items
from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.metrics.kernels import compiled, match
from ablab.tasks.detection.metrics.settings import AREAS, IOU_THRESHOLDS


def collect(
    predictions: Sequence[Detections], truths: Sequence[Truth], classes: Sequence[str], max_detections: int
) -> Items:
    """Match one prediction and one truth an image; the columns are listed in this module's docstring."""
    count = len(classes)
    rows, cell, rank = _best(predictions, count, max_detections)
    boxes = _stack([p.boxes for p in predictions], 4)[rows]
    scores = _stack([p.scores for p in predictions])[rows]
    sides = _stack([_sides(p) for p in predictions], 2)[rows]
    truth = _truth_columns(truths, count)
    truth_sides = truth.pop("sides")
    truth_cell = truth["truth_image"] * count + truth["truth_label"]
    starts = np.flatnonzero(np.diff(cell, prepend=-1, append=-1))
    cells = cell[starts[:-1]]
    matched, ignored = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    partner = np.full(len(rows), -1, np.int64)
    compiled(match)(
        starts,
        np.searchsorted(truth_cell, cells, "left"),
        np.searchsorted(truth_cell, cells, "right"),
        np.hstack([boxes[:, :2], sides]),
        np.hstack([truth["truth_box"][:, :2], truth_sides]),
        truth["truth_area"],
        truth["truth_ignore"] | truth["truth_crowd"],
        truth["truth_crowd"],
        IOU_THRESHOLDS,
        np.array(list(AREAS.values())),
        matched,
        ignored,
        partner,
    )
    image, label = np.divmod(cell, count)
    order = np.lexsort((-scores, label))
    detections = {
        "detection_image": image.astype(np.int32),
        "detection_label": label.astype(np.int32),
        "detection_score": scores,
        "detection_box": boxes.astype(np.float32),
        "detection_rank": rank.astype(np.int32),
        "detection_matched": matched,
        "detection_ignored": ignored,
        "detection_truth": partner.astype(np.int32),
    }
    names = {
        "images": np.array([t.image for t in truths], np.str_),
        "groups": np.array([t.group for t in truths], np.str_),
        "classes": np.array(classes, np.str_),
    }
    return names | {name: column[order] for name, column in detections.items()} | truth


def _best(predictions: Sequence[Detections], count: int, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which detections stay, sorted by cell (image, class) and falling score; their cells and ranks.  3 x (D,)"""
    image = np.repeat(np.arange(len(predictions)), [len(p) for p in predictions])
    cell = image * count + _stack([p.labels for p in predictions]).astype(np.int64)
    scores = _stack([p.scores for p in predictions])
    rows = np.lexsort((-scores, cell))  # stable: of equal scores, the one given first
    cell = cell[rows]
    rank = np.arange(len(rows)) - np.searchsorted(cell, cell, "left")
    keep = rank < most
    return rows[keep], cell[keep], rank[keep]


def _truth_columns(truths: Sequence[Truth], count: int) -> Items:
    image = np.repeat(np.arange(len(truths)), [len(t.labels) for t in truths])
    label = _stack([t.labels for t in truths]).astype(np.int64)
    columns = {
        "truth_image": image,
        "truth_label": label,
        "truth_box": _stack([t.boxes for t in truths], 4),
        "truth_area": _stack([t.area for t in truths]),
        "truth_ignore": _stack([t.ignore for t in truths]).astype(bool),
        "truth_crowd": _stack([t.crowd for t in truths]).astype(bool),
        "sides": _stack([_sides(t) for t in truths], 2),
    }
    order = np.argsort(image * count + label, kind="stable")
    return {name: column[order] for name, column in columns.items()}


def _sides(boxes: Truth | Detections) -> np.ndarray:
    """Widths and heights, as stated where they are.  (N, 2)"""
    if boxes.sides is not None:
        return boxes.sides
    corners = np.asarray(boxes.boxes, np.float64).reshape(-1, 4)
    return corners[:, 2:] - corners[:, :2]


def _stack(parts: Sequence[np.ndarray], width: int = 0) -> np.ndarray:
    """One float64 column of all images.  (N,), or (N, width)"""
    shape = (-1, width) if width else (-1,)
    return np.concatenate([np.zeros(0), *(np.ravel(part) for part in parts)]).astype(np.float64).reshape(shape)
