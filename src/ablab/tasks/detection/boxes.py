"""What detection speaks of, in numpy: annotations, truths and detections. Boxes are x1 y1 x2 y2 in pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Annotation:
    """One image as annotated.

    boxes (N, 4) float64 in pixels of the image, labels (N,) int64, difficult and crowd (N,) bool; `area` (N,) float64
    is the objects' where the source states it (COCO), the boxes' otherwise. `group` names what is resampled and split
    together (a source photograph, a video).
    """

    id: str
    path: Path
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray
    group: str = ""
    area: np.ndarray | None = None


@dataclass(frozen=True)
class Truth:
    """What an image holds, for the meter.

    `area` (N,) is the object's (COCO's own where it has one); `ignore` (N,) marks VOC's difficult objects: a detection
    on one is neither right nor wrong. `crowd` (N,) marks COCO's crowds, which may be matched many times. `sides` (N, 2)
    are width and height where the source states them: x2 - x1 loses their last bits, and an overlap may be a tie.
    `group` names what the image is resampled with.
    """

    image: str
    boxes: np.ndarray
    labels: np.ndarray
    area: np.ndarray
    ignore: np.ndarray
    crowd: np.ndarray
    sides: np.ndarray | None = None
    group: str = ""

    @staticmethod
    def of(annotation: Annotation) -> Truth:
        """The truth of an annotation."""
        boxes = annotation.boxes.reshape(-1, 4).astype(np.float64)
        own = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        area = own if annotation.area is None else annotation.area
        ignored, crowds = annotation.difficult, annotation.crowd
        return Truth(annotation.id, boxes, annotation.labels, area, ignored, crowds, group=annotation.group)


@dataclass(frozen=True)
class Detections:
    """What a detector says of one image: boxes (N, 4), scores (N,) falling, labels (N,); `sides` as in `Truth`."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    sides: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.scores)


@dataclass
class Sample:
    """One image on its way into a batch.

    image (H, W, 3) uint8 RGB; boxes (N, 4) in its pixels; labels (N,). `scale` and `shift` (x, y) take the annotation's
    pixels to this image's: x' = x * scale + shift; they mean nothing after augmentation. `truth` is in the annotation's
    own pixels. `batch_sides` is the (H, W) that this sample wants for the batch that it is the first of (multi-scale).
    """

    id: str
    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    truth: Truth
    size: tuple[int, int] = (0, 0)  # (H, W) of the annotated image
    scale: float = 1.0
    shift: tuple[float, float] = field(default=(0.0, 0.0))
    batch_sides: tuple[int, int] | None = None


def area(boxes: np.ndarray) -> np.ndarray:
    """(N, 4) -> (N,), never negative"""
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    return sides[:, 0] * sides[:, 1]


def clip(boxes: np.ndarray, height: float, width: float) -> np.ndarray:
    """Boxes cut at the image's border.  (N, 4) -> (N, 4)"""
    return np.stack(
        [
            boxes[:, 0].clip(0, width),
            boxes[:, 1].clip(0, height),
            boxes[:, 2].clip(0, width),
            boxes[:, 3].clip(0, height),
        ],
        axis=1,
    )
