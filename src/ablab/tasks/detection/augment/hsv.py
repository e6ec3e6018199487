"""Colour: hue, saturation and brightness."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ablab.registry import register
from ablab.tasks.detection.augment.limits import limit
from ablab.tasks.detection.boxes import Sample

HUES = 180  # OpenCV's hue of a uint8 image counts steps of two degrees


@register("augmentation", "hsv")
@dataclass(frozen=True)
class HSV:
    """Turn the hue by +- a share of the circle; multiply saturation and value by 1 +- a share each."""

    hue: float = 0.015
    saturation: float = 0.7
    value: float = 0.4

    def __post_init__(self) -> None:
        limit(self, hue=0.5, saturation=1, value=1)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        draws = rng.uniform(-1, 1, 3)
        if not (self.hue or self.saturation or self.value):
            return sample  # the way to HSV and back is not free of rounding
        levels = np.arange(256)
        hue = np.round(levels + HUES * self.hue * draws[0]) % HUES
        saturation = np.round(levels * (1 + self.saturation * draws[1]))
        value = np.round(levels * (1 + self.value * draws[2]))
        table = np.stack([hue, saturation, value], axis=1).clip(0, 255).astype(np.uint8)  # (256, 3)
        turned = cv2.LUT(cv2.cvtColor(sample.image, cv2.COLOR_RGB2HSV), table[None])
        return replace(sample, image=cv2.cvtColor(turned, cv2.COLOR_HSV2RGB))
