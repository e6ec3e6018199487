"""Colour: hue, saturation and brightness."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from ablab.tasks.detection.boxes import Sample
from ablab.tasks.detection.recipe import AugmentRecipe

HUES = 180  # OpenCV's hue of a uint8 image counts steps of two degrees


def hsv(sample: Sample, settings: AugmentRecipe, rng: np.random.Generator) -> Sample:
    """Turn the hue by a share of the circle; multiply saturation and value by a factor each."""
    draws = rng.uniform(-1, 1, 3)
    if not (settings.hue or settings.saturation or settings.value):
        return sample  # the way to HSV and back is not free of rounding
    levels = np.arange(256)
    hue = np.round(levels + HUES * settings.hue * draws[0]) % HUES
    saturation = np.round(levels * (1 + settings.saturation * draws[1]))
    value = np.round(levels * (1 + settings.value * draws[2]))
    table = np.stack([hue, saturation, value], axis=1).clip(0, 255).astype(np.uint8)  # (256, 3)
    turned = cv2.LUT(cv2.cvtColor(sample.image, cv2.COLOR_RGB2HSV), table[None])
    return replace(sample, image=cv2.cvtColor(turned, cv2.COLOR_HSV2RGB))
