"""Some images of common classes left out, others each epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablab.contracts import Sampling
from ablab.errors import ConfigError
from ablab.parts.sampler.frequency import frequency
from ablab.parts.sampler.rates import Rates
from ablab.registry import register


@register("sampler", "undersample", paper="https://arxiv.org/abs/1710.05381")
@dataclass(frozen=True)
class Undersample:
    """No class in more than `ratio` times as many images as the rarest one, where that can be had (Buda et al. 2018).

    An image counts for the rarest of its classes. From the rarest class on, as many of its images are kept as it may
    still have beside those that stay for a rarer class' sake; which ones is drawn each epoch. Images without an object
    all stay.
    """

    ratio: float = 2.0

    def __post_init__(self) -> None:
        if self.ratio < 1:
            raise ConfigError(f"sampler/undersample: 'ratio' is 1 or more, got {self.ratio}")

    def __call__(self, counts: np.ndarray) -> Sampling:
        """(images, classes) objects -> how to sample; raises ConfigError where no image would be left out"""
        shares, present = frequency(counts), counts > 0
        most = self.ratio * shares.min() * len(counts)  # images of a class
        rates, free = np.ones(len(counts)), present.any(axis=1)
        for label in np.argsort(shares, kind="stable"):
            mine = free & present[:, label]
            kept = rates[present[:, label] & ~free].sum()  # for a rarer class' sake
            if mine.any():
                rates[mine] = np.clip(round(most - kept), 0, mine.sum()) / mine.sum()
            free &= ~mine
        if (rates == 1).all():
            raise ConfigError(
                f"sampler/undersample with ratio {self.ratio:g} would leave out no image: the classes are in "
                f"{shares.min():.1%} to {shares.max():.1%} of the images, and an image of a rare class stays"
            )
        return Rates(rates)
