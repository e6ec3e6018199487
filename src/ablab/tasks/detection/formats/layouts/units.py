"""Boxes that are not in the unit of their layout: which they are, and in which unit they seem to be."""

from __future__ import annotations

import numpy as np

MOST_SHARE = 1.5  # a share of the image beyond this is no sloppy border any more


def not_pixels(boxes: np.ndarray) -> np.ndarray:
    """Boxes x1 y1 x2 y2 that lie in the first pixel and have fractions: shares of the image, most likely.

    (N, 4) -> (N,) bool
    """
    inside = ((boxes >= 0) & (boxes <= 1)).all(1)
    return inside & (boxes != np.floor(boxes)).any(1)


def not_shares(boxes: np.ndarray) -> np.ndarray:
    """Boxes whose numbers are too large for shares of the image.  (N, 4) -> (N,) bool"""
    return (np.abs(boxes) > MOST_SHARE).any(1)


def guess(rows: np.ndarray, sizes: np.ndarray) -> str:
    """The unit in which most of the rows are boxes inside their image; of equals, the one with the least room.

    rows (N, 4) as written, sizes (N, 2) width and height of their images.
    """
    hundred = np.full_like(sizes, 100.0)
    fits = {
        "pixels (x1 y1 x2 y2)": (_corners(rows, sizes), sizes),
        "pixels (centre, width, height)": (_centred(rows, sizes), sizes),
        "pixels (left, top, width, height)": (_sided(rows, sizes), sizes),
        "percent (centre, width, height)": (_centred(rows, hundred), hundred),
        "percent (x1 y1 x2 y2)": (_corners(rows, hundred), hundred),
    }
    best = max(fits, key=lambda unit: (int(fits[unit][0].sum()), -float(np.log(fits[unit][1]).sum())))
    return f"it looks like {best}" if fits[best][0].any() else "no unit fits"


def _corners(rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.all((rows[:, :2] >= 0) & (rows[:, :2] < rows[:, 2:]) & (rows[:, 2:] <= sizes), axis=1)


def _centred(rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    half = rows[:, 2:] / 2
    return np.all((half > 0) & (rows[:, :2] >= half) & (rows[:, :2] + half <= sizes), axis=1)


def _sided(rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.all((rows[:, 2:] > 0) & (rows[:, :2] >= 0) & (rows[:, :2] + rows[:, 2:] <= sizes), axis=1)
