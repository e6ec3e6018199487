"""Pictures of plain rectangles, and a runner that finds them: a model without a training.

A red rectangle is a "stop", a green one a "go"; how blue it is, of 255, is its score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from ablab.config import parse
from ablab.predict.model import Model
from ablab.tasks.detection.recipe import DetectionRecipe
from ablab.tasks.detection.task import Detection

CLASSES = ("stop", "go")
FACTS = {"classes": list(CLASSES), "anchors": [[[8, 8]] * 3] * 3}


def paint(
    height: int, width: int, boxes: Sequence[Sequence[int]], labels: Sequence[int] = (), scores: Sequence[float] = ()
) -> np.ndarray:
    """Rectangles x1 y1 x2 y2 on black; labels 0 and scores 0.8 where not given.  -> (height, width, 3) uint8 RGB"""
    image = np.zeros((height, width, 3), np.uint8)
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        colour = [0, 0, round(255 * (scores[i] if len(scores) else 0.8))]
        colour[labels[i] if len(labels) else 0] = 255
        image[y1:y2, x1:x2] = colour
    return image


def look(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rectangles in fitted pictures (B, h, w, 3), as a network gives them: boxes (B, N, 4), scores (B, N, C)."""
    assert images.dtype == np.uint8
    found = [_rectangles(image) for image in images]
    most = max(map(len, found), default=0)
    boxes, scores = np.zeros((len(images), most, 4), np.float32), np.zeros((len(images), most, 2), np.float32)
    for i, rows in enumerate(found):
        for j, (box, label, score) in enumerate(rows):
            boxes[i, j], scores[i, j, label] = box, score
    return boxes, scores


def _rectangles(image: np.ndarray) -> list[tuple[list[int], int, float]]:
    found = []
    for label in (0, 1):
        mask = (image[..., label] > 128) & (image[..., 1 - label] < 100)
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
        for x, y, w, h, area in stats[1:].tolist():
            if area >= 4:
                blue = image[y : y + h, x : x + w, 2][mask[y : y + h, x : x + w]]
                found.append(([x, y, x + w, y + h], label, float(np.median(blue)) / 255))
    return found


def model(size: int = 64, batch: int = 4, thresholds: dict[str, float] | None = None, **postprocess: Any) -> Model:
    """A model that finds rectangles, at an input of `size` pixels."""
    settings = {"train": {"image_size": [size, size]}, "postprocess": postprocess}
    task = Detection(parse(DetectionRecipe, settings, "test"), FACTS)
    return Model(task, look, thresholds or dict.fromkeys(CLASSES, 0.25), batch=batch, name="rectangles")
