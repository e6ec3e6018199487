"""What is left of boxes inside a region, or beside one that covers them."""

from __future__ import annotations

import numpy as np

from ablab.tasks.detection.boxes import area

Region = tuple[float, float, float, float]  # x1 y1 x2 y2

LEAST_SHARE = 0.1  # of a box's area, as in YOLOv5's box candidates
LEAST_SIDE = 2.0  # pixels
MOST_COVERED = 0.6  # of a box's area, as in YOLOv5's cutout


def visible(boxes: np.ndarray, region: Region) -> tuple[np.ndarray, np.ndarray]:
    """Cut boxes (N, 4) at a region x1 y1 x2 y2; says which (N,) are still worth keeping.

    A box is kept where at least a tenth of its area is inside and both sides have 2 pixels or more.
    """
    cut = _cut(boxes, region)
    kept = (area(cut) >= LEAST_SHARE * area(boxes)) & (cut[:, 2:] - cut[:, :2] >= LEAST_SIDE).all(axis=1)
    return cut, kept


def uncovered(boxes: np.ndarray, region: Region) -> np.ndarray:
    """Which boxes (N, 4) can still be told where a region hides what is below it: covered by 60% or less.  -> (N,)"""
    return area(_cut(boxes, region)) <= MOST_COVERED * area(boxes)


def _cut(boxes: np.ndarray, region: Region) -> np.ndarray:
    return np.clip(boxes, region[:2] * 2, region[2:] * 2)
