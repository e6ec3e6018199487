"""A rectangle that hides what is below it (Zhong et al. 2020, https://arxiv.org/abs/1708.04896, algorithm 1)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ablab.registry import register
from ablab.tasks.detection.augment.limits import Chance
from ablab.tasks.detection.augment.visible import uncovered
from ablab.tasks.detection.boxes import Sample

AREA = (0.02, 0.4)  # of the image, uniform
ASPECT = (0.3, 1 / 0.3)  # height over width, uniform in its logarithm


@register("augmentation", "erase", paper="https://arxiv.org/abs/1708.04896")
class Erase(Chance):
    """Fill a rectangle with random bytes, with a probability; boxes that it hides are dropped.

    Where the paper draws anew until the rectangle fits, it is cut to the image's side here: the draws stay as many.
    """

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        luck, share, aspect, *place = rng.random(5)
        if luck >= self.probability:
            return sample
        height, width = sample.image.shape[:2]
        surface = (AREA[0] + (AREA[1] - AREA[0]) * share) * height * width
        ratio = ASPECT[0] * (ASPECT[1] / ASPECT[0]) ** aspect
        h, w = min(round((surface * ratio) ** 0.5), height), min(round((surface / ratio) ** 0.5), width)
        x, y = round(place[0] * (width - w)), round(place[1] * (height - h))
        image = sample.image.copy()
        image[y : y + h, x : x + w] = np.frombuffer(rng.bytes(3 * h * w), np.uint8).reshape(h, w, 3)
        stay = uncovered(sample.boxes, (x, y, x + w, y + h))
        return replace(sample, image=image, boxes=sample.boxes[stay], labels=sample.labels[stay])
