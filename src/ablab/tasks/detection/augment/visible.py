"""What is left of boxes inside a region."""

from __future__ import annotations

import numpy as np

from ablab.tasks.detection.boxes import area

LEAST_SHARE = 0.1  # of a box's area, as in YOLOv5's box candidates
LEAST_SIDE = 2.0  # pixels


def visible(boxes: np.ndarray, region: tuple[float, float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Cut boxes (N, 4) at a region x1 y1 x2 y2; says which (N,) are still worth keeping.

    A box is kept where at least a tenth of its area is inside and both sides have 2 pixels or more.
    """
    cut = np.clip(boxes, np.tile(region[:2], 2), np.tile(region[2:], 2))
    kept = (area(cut) >= LEAST_SHARE * area(boxes)) & (cut[:, 2:] - cut[:, :2] >= LEAST_SIDE).all(axis=1)
    return cut, kept
