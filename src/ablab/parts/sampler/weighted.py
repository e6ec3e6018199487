"""Images drawn by weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ablab.contracts import Sampling
from ablab.errors import ConfigError, UnknownName
from ablab.parts.sampler.frequency import frequency
from ablab.registry import register


@dataclass(frozen=True)
class Weights:
    """A `contracts.Sampling` that draws as many samples as there are, with replacement."""

    weights: np.ndarray  # (images,), of sum 1

    def __len__(self) -> int:
        return len(self.weights)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return rng.choice(len(self), size=len(self), p=self.weights)


@register("sampler", "weighted", paper="https://arxiv.org/abs/1805.00932", alternatives={"over": ["mean", "max"]})
@dataclass(frozen=True)
class Weighted:
    """Draw with replacement, an image by the weight of its classes: (1 / share of images that hold it) ^ power.

    `over` says whose weight counts: the `max` of an image's classes, or their `mean`. An image without an object has
    the weight of a class that is everywhere, 1. `power` 0 is uniform, 0.5 is Mahajan et al. 2018, section 2.2.
    """

    power: float = 1.0
    over: Literal["max", "mean"] = "max"

    def __post_init__(self) -> None:
        if self.power < 0:
            raise ConfigError(f"sampler/weighted: 'power' is 0 or more, got {self.power}")
        if self.over not in ("max", "mean"):
            raise UnknownName("way", self.over, ("max", "mean"), "sampler/weighted: over")

    def __call__(self, counts: np.ndarray) -> Sampling:
        """(images, classes) objects -> how to sample"""
        present, weights = counts > 0, frequency(counts) ** -self.power
        if self.over == "max":
            image = np.where(present, weights, 1).max(axis=1, initial=1)
        else:
            held = present.sum(axis=1)
            image = np.where(held, present @ weights / np.maximum(held, 1), 1)
        return Weights(image / image.sum())
