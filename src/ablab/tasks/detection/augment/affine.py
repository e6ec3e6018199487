"""Rotation, zoom, shear and shift in one warp."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ablab.registry import register
from ablab.tasks.detection.augment.letterbox import GREY
from ablab.tasks.detection.augment.limits import limit
from ablab.tasks.detection.augment.visible import visible
from ablab.tasks.detection.boxes import Sample


@register("augmentation", "affine")
@dataclass(frozen=True)
class Affine:
    """Rotate and shear by +- degrees, shift by +- a share of the side, zoom by 1 +- a share, about the centre."""

    degrees: float = 0.0
    translate: float = 0.1
    scale: float = 0.5
    shear: float = 0.0

    def __post_init__(self) -> None:
        limit(self, degrees=180, translate=1, scale=1, shear=45)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return self.onto(sample, (sample.image.shape[0], sample.image.shape[1]), rng)

    def onto(self, sample: Sample, size: tuple[int, int], rng: np.random.Generator) -> Sample:
        """The same, onto a canvas of `size` (H, W), to whose centre the image's goes."""
        turn, zoom, shear_x, shear_y, *shift = rng.uniform(-1, 1, 6)
        angle = np.radians(self.degrees * turn)
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        slant = np.tan(np.radians(self.shear * np.array([shear_x, shear_y])))
        linear = np.array([[1, slant[0]], [slant[1], 1]]) @ rotation * (1 + self.scale * zoom)
        return warp(sample, size, linear, self.translate * np.array(shift))


def warp(sample: Sample, size: tuple[int, int], linear: np.ndarray, shift: np.ndarray) -> Sample:
    """Turn an image by `linear` (2, 2) about its centre, which goes to the centre of `size` (H, W).

    `shift` (x, y) moves it on, in shares of `size`. A box becomes the box around its four warped corners, cut at the
    border; boxes of which too little is left are dropped (`visible`). What was not in the image is grey.
    """
    height, width = sample.image.shape[:2]
    offset = np.array(size[::-1]) * (0.5 + shift) - linear @ np.array([width, height]) / 2
    if size == (height, width) and np.allclose(linear, np.eye(2)) and np.allclose(offset, 0):
        return sample
    # Boxes are measured from pixel edges, OpenCV's indices from pixel centres: half a pixel in, half a pixel out.
    matrix = np.column_stack([linear, offset + linear.sum(axis=1) / 2 - 0.5])
    image = cv2.warpAffine(sample.image, matrix, size[::-1], flags=cv2.INTER_LINEAR, borderValue=(GREY, GREY, GREY))
    boxes, kept = visible(_around(sample.boxes, linear, offset), (0, 0, size[1], size[0]))
    return replace(sample, image=image, boxes=boxes[kept], labels=sample.labels[kept])


def _around(boxes: np.ndarray, linear: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """The boxes around boxes' warped corners.  (N, 4), (2, 2), (2,) -> (N, 4)"""
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2) @ linear.T + offset  # (N, 4 corners, 2)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
