"""Images of rare classes more than once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablab.contracts import Sampling
from ablab.errors import ConfigError
from ablab.parts.sampler.frequency import frequency
from ablab.parts.sampler.rates import Rates
from ablab.registry import register


@register("sampler", "oversample", paper="https://arxiv.org/abs/1908.03195")
@dataclass(frozen=True)
class Oversample:
    """Repeat-factor sampling (Gupta et al. 2019, LVIS, section 3.3).

    A class in a share f of the images has the factor max(1, sqrt(threshold / f)); an image is shown as often as the
    largest factor of its classes says, once where it has no object. The paper's threshold is 0.001, for 1,230 classes.
    """

    threshold: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ConfigError(
                f"sampler/oversample: 'threshold' is a share of images, above 0 to 1; got {self.threshold}"
            )

    def __call__(self, counts: np.ndarray) -> Sampling:
        """(images, classes) objects -> how to sample; raises ConfigError where no class is rare enough"""
        shares = frequency(counts)
        factors = np.sqrt(self.threshold / shares).clip(min=1)
        if (factors == 1).all():
            raise ConfigError(
                f"sampler/oversample with threshold {self.threshold:g} would repeat no image: the rarest class is in "
                f"{shares.min():.1%} of the images; give it a threshold above that"
            )
        return Rates(np.where(counts > 0, factors, 1).max(axis=1, initial=1))
