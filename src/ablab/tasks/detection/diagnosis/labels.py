"""The labels of a split as columns, as large as the network sees them: what the readings of data are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablab.tasks.detection.boxes import Annotation


@dataclass(frozen=True)
class Labels:
    """Every label of a split but crowds, which are not objects.

    image (N,) is a row of `ids`, label (N,) a class; boxes (N, 4) are x1 y1 x2 y2 as shares of the image's width and
    height; sides (N, 2) are width and height in pixels of the network's input, after letterboxing. shapes (I, 2) are
    the images' own height and width in pixels.
    """

    ids: tuple[str, ...]
    image: np.ndarray
    label: np.ndarray
    boxes: np.ndarray
    sides: np.ndarray
    shapes: np.ndarray

    @staticmethod
    def of(annotations: Sequence[Annotation], image_size: tuple[int, int]) -> Labels:
        """The labels of some images for an input of `image_size` (H, W)."""
        kept = [~a.crowd for a in annotations]
        counts = [int(k.sum()) for k in kept]
        boxes = [np.zeros((0, 4)), *(a.boxes.reshape(-1, 4)[k] for a, k in zip(annotations, kept, strict=True))]
        shapes = np.array([(a.height, a.width) for a in annotations], np.float64).reshape(-1, 2)
        image = np.repeat(np.arange(len(annotations)), counts)
        pixels = np.concatenate(boxes)
        return Labels(
            tuple(a.id for a in annotations),
            image,
            np.concatenate([np.zeros(0, np.int64), *(a.labels[k] for a, k in zip(annotations, kept, strict=True))]),
            pixels / np.tile(shapes[image][:, ::-1], 2),
            (pixels[:, 2:] - pixels[:, :2]) * scales(shapes, image_size)[image, None],
            shapes,
        )

    @property
    def side(self) -> np.ndarray:
        """The geometric mean of width and height, sqrt(w h), in pixels of the input (N,): COCO's measure of size."""
        mean: np.ndarray = np.sqrt(self.sides.clip(min=0).prod(axis=1))
        return mean


def scales(shapes: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """By how much letterboxing into `image_size` (H, W) enlarges images (I, 2) of height and width.  -> (I,)"""
    factor: np.ndarray = (np.array(image_size) / shapes).min(axis=1)
    return factor
