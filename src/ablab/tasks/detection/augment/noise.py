"""A noisy sensor."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import cv2
import numpy as np

from ablab.registry import register
from ablab.tasks.detection.augment.limits import Chance
from ablab.tasks.detection.boxes import Sample

MOST = 0.1 * 255  # the largest sigma, in levels of 8 bits
# A draw of numpy's normal distribution for each number of an image would take longer than all other augmentations:
# a random byte and its quantile is the same to 1% of a sigma.
QUANTILES = np.array([NormalDist().inv_cdf((level + 0.5) / 256) for level in range(256)])


@register("augmentation", "noise")
class Noise(Chance):
    """Gaussian noise with a probability, of a sigma that is uniform in 0 to a tenth of white."""

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        luck, strength = rng.random(2)
        if luck >= self.probability:
            return sample
        levels = np.frombuffer(rng.bytes(sample.image.size), np.uint8).reshape(sample.image.shape)
        steps = np.round(MOST * strength * QUANTILES).astype(np.int16)
        added = cv2.add(sample.image, cv2.LUT(levels, steps), dtype=cv2.CV_8U)  # stops at 0 and 255
        return replace(sample, image=added)
