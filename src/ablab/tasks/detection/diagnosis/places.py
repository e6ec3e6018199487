"""Where in their images the objects stand: a heat map of the boxes' centres."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ablab.tasks.detection.diagnosis.labels import Labels
from ablab.tasks.detection.draw import encode_png

CELLS = 16  # of the map, each way
CENTRAL = (0.25, 0.75)  # the middle half each way: a quarter of the image's area
AT_BORDER = 0.002  # of the image's side: about a pixel of 500
PICTURE = 384  # pixels: a side of the drawn map
DARKEST = np.array([8, 48, 107], np.float64)  # RGB of the fullest cell, on white


@dataclass(frozen=True)
class Places:
    """How many boxes have their centre in each cell of a grid over the image, all images laid on one another.

    `counts` are rows from the top, each from the left. `central` is the share of centres in the middle quarter of the
    area (0.25 where they are spread evenly), `median` the median centre (x, y) as shares of width and height, and
    `at_border` the share of boxes that touch a border of their image: objects that are probably cut off. NaN where
    there is no box.
    """

    boxes: int
    counts: tuple[tuple[int, ...], ...]
    central: float
    median: tuple[float, float]
    at_border: float


def places(labels: Labels, cells: int = CELLS) -> Places:
    """The heat map of some labels, over `cells` by `cells`."""
    centres = (labels.boxes[:, :2] + labels.boxes[:, 2:]) / 2  # (N, 2)
    column, row = np.minimum((centres * cells).astype(np.int64), cells - 1).clip(0).T
    counts = np.bincount(row * cells + column, minlength=cells * cells).reshape(cells, cells)
    if not len(centres):
        nan = float("nan")
        return Places(0, _rows(counts), nan, (nan, nan), nan)
    inside = ((centres >= CENTRAL[0]) & (centres < CENTRAL[1])).all(axis=1)
    touches = (labels.boxes <= AT_BORDER)[:, :2].any(axis=1) | (labels.boxes >= 1 - AT_BORDER)[:, 2:].any(axis=1)
    x, y = np.median(centres, axis=0).tolist()
    return Places(len(centres), _rows(counts), float(inside.mean()), (x, y), float(touches.mean()))


def draw_places(seen: Places, side: int = PICTURE) -> bytes:
    """The heat map as a PNG of `side` by `side` pixels: white is no box, the darkest blue the fullest cell."""
    counts = np.array(seen.counts, np.float64)
    share = counts / max(counts.max(), 1.0)
    colours = 255 + share[..., None] * (DARKEST - 255)  # (cells, cells, 3)
    return encode_png(cv2.resize(colours.round().astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST))


def _rows(counts: np.ndarray) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(row) for row in counts.tolist())
