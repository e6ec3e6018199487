"""Left becomes right."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from ablab.registry import register
from ablab.tasks.detection.augment.limits import Chance
from ablab.tasks.detection.boxes import Sample


@register("augmentation", "flip")
class Flip(Chance):
    """Mirror left to right with a probability: x1, x2 become W - x2, W - x1."""

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.probability:
            return sample
        width = sample.image.shape[1]
        boxes = sample.boxes.copy()
        boxes[:, [0, 2]] = width - sample.boxes[:, [2, 0]]
        return replace(sample, image=cv2.flip(sample.image, 1), boxes=boxes)
