"""Seeds and images at once: what holds on these images, and what holds on new ones from the same source.

Every seed is scored on the same images, so luck with seeds and luck with images are crossed:

    V_s = sd(d)^2 / n                                      seeds, and their interaction with the images
    V_i = variance over replicates of the seeds' mean      images, and the interaction once more
    V_w = mean over seeds of the variance over replicates
    V_x = max(0, (V_w - V_i) * n / (n - 1)) / n            the interaction, which both hold
    H^2 = t(n - 1)^2 * V_s + t(G - 1)^2 * max(0, V_i - V_x)

G counts groups of one size. Groups of m_1, m_2, ... images are worth G = (sum m)^2 / sum m^2 of them (Kish 1965,
"Survey Sampling", section 11.7): with their plain count the intervals would be too short.

The components are those of a two-way random-effects layout with one observation a cell (Searle, Casella & McCulloch
1992, "Variance Components", section 4.3; Owen 2007, "The pigeonhole bootstrap", for resampling one side of it). Seeds
are few and get Student's t, images are resampled: the Bayesian bootstrap (Rubin 1981), whose weights are exponential,
so that a rare class never vanishes, and one a group, so that a video or a patient is drawn whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ablab.errors import ConfigError
from ablab.stats.paired import Array, compare, critical_t, interval

FEWEST_GROUPS = 10  # below it the spread between groups is hardly known: no claim about new images

Range = tuple[float, float]
UNBOUNDED: Range = (-math.inf, math.inf)


@dataclass(frozen=True)
class Population:
    """Three 1 - alpha intervals for one arm's effect, in the metric's units.

    `seeds`: new seeds, these images (`effect_fixed`). `images`: new images, these very trainings. `both`: new seeds and
    new images (`effect_population`). `groups` is how many images, videos or patients were drawn; where `refused` gives
    a reason, `images` and `both` are (-inf, inf). Below two seeds `seeds` and `both` bound nothing either.
    """

    seeds: Range
    images: Range
    both: Range
    groups: int
    refused: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; an infinite end becomes None."""
        ranges = {"seeds": self.seeds, "images": self.images, "both": self.both}
        plain = {name: [end if math.isfinite(end) else None for end in ends] for name, ends in ranges.items()}
        return plain | {"groups": self.groups, "refused": self.refused}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Population:
        """The inverse of `as_dict`. Raises ConfigError where a field is missing."""
        try:
            seeds, images, both = (_range(*data[name]) for name in ("seeds", "images", "both"))
            return cls(seeds, images, both, int(data["groups"]), str(data["refused"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"not a record of seeds and images: {error!r}; judge the study again") from None


def _range(low: float | None, high: float | None) -> Range:
    return (-math.inf if low is None else float(low), math.inf if high is None else float(high))


def image_weights(groups: ArrayLike, replicates: int, rng: np.random.Generator) -> Array:
    """Weights of images (replicates, I) for one resampling of all arms and seeds; each row's mean is one.

    `groups` (I,) are labels of any kind; images with one label get one weight. The weights are exponential, divided by
    their mean over images (Rubin 1981): as many images in all as there are, and none at zero. Raises ConfigError for
    no images.
    """
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    if not member.size:
        raise ConfigError("image_weights: no images; give one group label an image")
    weights = rng.exponential(size=(replicates, int(member.max()) + 1))[:, member.ravel()]
    return weights / weights.mean(axis=1, keepdims=True)


def population(differences: ArrayLike, replicates: ArrayLike, groups: ArrayLike, alpha: float = 0.05) -> Population:
    """The intervals of one arm from its effects per seed (n,) and the same under each replicate's weights (B, n).

    One weight vector of `image_weights` serves all arms and seeds of a replicate (row). `groups` is how many there are,
    or (G,) how many images each of them holds. Dirichlet weights understate the variance of a mean over G groups of one
    size by exactly (G - 1) / (G + 1), which is undone here.
    Raises ConfigError for shapes that do not match and for a number that is not finite.
    """
    d, drawn = np.asarray(differences, dtype=np.float64), np.asarray(replicates, dtype=np.float64)
    if d.ndim != 1 or not d.size or drawn.ndim != 2 or drawn.shape[1] != d.size or len(drawn) < 2:
        raise ConfigError(
            f"population: expected differences (n,) and replicates (B, n), B >= 2; got {d.shape} and {drawn.shape}"
        )
    if not (np.isfinite(d).all() and np.isfinite(drawn).all()):
        raise ConfigError("population: an effect is not finite; leave out the seeds that have no score on both sides")
    comparison = compare(d)
    low, high = interval(comparison, alpha)
    over_seeds = float(low), float(high)
    count, worth = _counted(groups)
    if count < FEWEST_GROUPS:
        return Population(over_seeds, UNBOUNDED, UNBOUNDED, count, _too_few(count))
    effect, t_images = float(comparison.effect), float(critical_t(worth, alpha))
    v_images, v_shared = _image_variances(drawn, worth)
    over_images = t_images * math.sqrt(v_images)
    half = math.hypot((over_seeds[1] - over_seeds[0]) / 2, t_images * math.sqrt(max(0.0, v_images - v_shared)))
    return Population(over_seeds, (effect - over_images, effect + over_images), (effect - half, effect + half), count)


def _counted(groups: ArrayLike) -> tuple[int, float]:
    """How many groups there are, and how many of one size they are worth."""
    sizes = np.asarray(groups, dtype=np.float64)
    return (int(sizes), float(sizes)) if sizes.ndim == 0 else (sizes.size, float(sizes.sum() ** 2 / (sizes**2).sum()))


def _too_few(count: int) -> str:
    return f"{count} groups of images: fewer than {FEWEST_GROUPS} say too little about new ones"


def _image_variances(drawn: Array, groups: float) -> tuple[float, float]:
    """V_i and V_x of replicates (B, n); with one seed the interaction cannot be told apart and counts as none."""
    n = drawn.shape[1]
    widen = (groups + 1) / (groups - 1)
    of_mean = widen * float(drawn.mean(axis=1).var(ddof=1))
    within = widen * float(drawn.var(axis=0, ddof=1).mean())
    return of_mean, max(0.0, (within - of_mean) * n / (n - 1)) / n if n > 1 else 0.0
