"""Grey squares (DeVries & Taylor 2017, https://arxiv.org/abs/1708.04552)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np

from ablab.registry import register
from ablab.tasks.detection.augment.letterbox import GREY
from ablab.tasks.detection.augment.limits import Chance, limit
from ablab.tasks.detection.augment.visible import uncovered
from ablab.tasks.detection.boxes import Sample


@register("augmentation", "cutout", paper="https://arxiv.org/abs/1708.04552")
@dataclass(frozen=True)
class Cutout(Chance):
    """Grey out `holes` squares of one size, with a probability; boxes that a hole hides are dropped.

    `side` is a share of the image's shorter side (a half of CIFAR-10's in the paper, whose images hold one object). A
    hole's centre is anywhere, so some of it may lie outside. `erase` differs: one rectangle of any size and aspect,
    wholly inside, filled with noise.
    """

    holes: int = 1
    side: float = 0.25

    def __post_init__(self) -> None:
        limit(self, probability=1, holes=inf, side=1)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        luck = rng.random()
        height, width = sample.image.shape[:2]
        half = max(round(self.side * min(height, width)), 1) / 2
        centres = rng.random((self.holes, 2)) * (width, height)
        if luck >= self.probability:
            return sample
        image, boxes, labels = sample.image.copy(), sample.boxes, sample.labels
        for x, y in centres:
            x1, y1 = max(round(x - half), 0), max(round(y - half), 0)
            x2, y2 = min(round(x + half), width), min(round(y + half), height)
            image[y1:y2, x1:x2] = GREY
            stay = uncovered(boxes, (x1, y1, x2, y2))
            boxes, labels = boxes[stay], labels[stay]
        return replace(sample, image=image, boxes=boxes, labels=labels)
