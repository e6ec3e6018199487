"""RandAugment (Cubuk et al. 2020, https://arxiv.org/abs/1909.13719) with boxes that move along.

The fourteen operations and their ranges are the paper's, as torchvision has them; a strength is magnitude / 30 with a
drawn sign. What bends an image goes through `affine.warp`, about its centre.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from ablab.registry import register
from ablab.tasks.detection.augment.affine import warp
from ablab.tasks.detection.augment.limits import limit
from ablab.tasks.detection.boxes import Sample

MOST = 30.0  # the largest magnitude
SHIFT = 150 / 331  # of the side: the paper's 150 pixels of an image of 331

Picture = Image.Image
COLOURS: dict[str, Callable[[Picture, float], Picture]] = {
    "identity": lambda picture, strength: picture,
    "autocontrast": lambda picture, strength: ImageOps.autocontrast(picture),
    "equalize": lambda picture, strength: ImageOps.equalize(picture),
    "posterize": lambda picture, strength: ImageOps.posterize(picture, 8 - round(4 * abs(strength))),
    "solarize": lambda picture, strength: ImageOps.solarize(picture, round(256 * (1 - abs(strength)))),
    "brightness": lambda picture, strength: ImageEnhance.Brightness(picture).enhance(1 + 0.9 * strength),
    "colour": lambda picture, strength: ImageEnhance.Color(picture).enhance(1 + 0.9 * strength),
    "contrast": lambda picture, strength: ImageEnhance.Contrast(picture).enhance(1 + 0.9 * strength),
    "sharpness": lambda picture, strength: ImageEnhance.Sharpness(picture).enhance(1 + 0.9 * strength),
}
BENDS: dict[str, Callable[[float], tuple[list[list[float]], list[float]]]] = {  # strength -> linear, shift
    "rotate": lambda strength: (_turn(np.radians(30 * strength)), [0, 0]),
    "shear x": lambda strength: ([[1, 0.3 * strength], [0, 1]], [0, 0]),
    "shear y": lambda strength: ([[1, 0], [0.3 * strength, 1]], [0, 0]),
    "translate x": lambda strength: ([[1, 0], [0, 1]], [SHIFT * strength, 0]),
    "translate y": lambda strength: ([[1, 0], [0, 1]], [0, SHIFT * strength]),
}
OPERATIONS = (*COLOURS, *BENDS)


@register("augmentation", "randaugment", paper="https://arxiv.org/abs/1909.13719")
@dataclass(frozen=True)
class RandAugment:
    """`count` operations one after another, each any of the fourteen, at a magnitude of 0 to 30."""

    count: int = 2
    magnitude: float = 9.0

    def __post_init__(self) -> None:
        limit(self, count=inf, magnitude=MOST)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        chosen, signs = rng.integers(len(OPERATIONS), size=self.count), rng.choice((-1, 1), size=self.count)
        for index, sign in zip(chosen, signs, strict=True):
            sample = operate(sample, OPERATIONS[index], float(sign) * self.magnitude / MOST)
        return sample


def operate(sample: Sample, name: str, strength: float) -> Sample:
    """One operation by name, at a strength of -1 to 1."""
    if name in COLOURS:
        return replace(sample, image=np.array(COLOURS[name](Image.fromarray(sample.image), strength)))
    linear, shift = BENDS[name](strength)
    height, width = sample.image.shape[:2]
    return warp(sample, (height, width), np.array(linear), np.array(shift))


def _turn(angle: float) -> list[list[float]]:
    return [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
