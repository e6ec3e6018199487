"""Out of focus."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from ablab.registry import register
from ablab.tasks.detection.augment.limits import Chance
from ablab.tasks.detection.boxes import Sample

SIGMA = (0.1, 2.0)  # pixels, as in SimCLR (Chen et al. 2020, appendix A)


@register("augmentation", "blur", paper="https://arxiv.org/abs/2002.05709")
class Blur(Chance):
    """A Gaussian blur with a probability, of a sigma that is uniform in 0.1 to 2 pixels."""

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        luck, strength = rng.random(2)
        if luck >= self.probability:
            return sample
        sigma = SIGMA[0] + (SIGMA[1] - SIGMA[0]) * strength
        return replace(sample, image=cv2.GaussianBlur(sample.image, (0, 0), sigma))
