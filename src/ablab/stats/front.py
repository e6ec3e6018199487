"""The accuracy-cost front, and how probably each arm belongs to it.

An arm is on the front where no other costs as little and scores more, or scores as much and costs less. Costs are
taken as known; mean scores are not: they are drawn from a multivariate t around the observed means over common seeds,

    mean* = mean(y) + D' z / sqrt(n X),    D = y - mean(y) (n, arms),    z ~ N(0, 1)^n,    X ~ chi2(n - 1)

so that the difference of any two arms follows the t(n - 1) of their paired test: an arm beats another in a share
1 - p / 2 of the draws, p the paired t's two-sided p. This is the posterior under the usual flat prior on a mean and
its log sd, taken contrast by contrast (Box & Tiao 1973, "Bayesian Inference in Statistical Analysis", section 2.4);
the joint one needs more seeds than arms. A bootstrap over a handful of seeds would be too sure, as it is of a mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablab.errors import ConfigError
from ablab.stats.paired import Array
from ablab.stats.verdicts import Scores


def on_front(scores: ArrayLike, costs: ArrayLike) -> NDArray[np.bool_]:
    """Which arms are on the front, more being better: scores (..., arms), costs (arms,), any unit; (..., arms).

    Of arms that are alike in both all are on it.
    """
    y, price = np.asarray(scores, dtype=np.float64), np.asarray(costs, dtype=np.float64)
    kept = np.empty(y.shape, dtype=np.bool_)
    for arm, cost in enumerate(price):
        own = y[..., arm : arm + 1]
        beaten = ((price <= cost) & (y > own)) | ((price < cost) & (y >= own))
        kept[..., arm] = ~beaten.any(axis=-1)
    return kept


def front_probability(
    scores: Mapping[str, Scores],
    costs: Mapping[str, float],
    *,
    direction: Literal["max", "min"] = "max",
    draws: int = 20_000,
    seed: int = 0,
) -> dict[str, float]:
    """The probability that each arm of `scores` {arm: {seed: score}} is on the front of `costs` {arm: cost}.

    Seeds count where every arm that has any score is scored. NaN for an arm without a score, and for all below two
    common seeds; such arms stand in nobody's way. At 20,000 draws the Monte-Carlo error is below 0.4 points.
    Raises ConfigError for a cost that is missing or not finite.
    """
    for arm in scores:
        if not math.isfinite(costs.get(arm, math.nan)):
            raise ConfigError(f"the front needs a cost of every arm: '{arm}' has {costs.get(arm)}")
    table = {arm: {s: v for s, v in own.items() if v is not None and math.isfinite(v)} for arm, own in scores.items()}
    present = [arm for arm, own in table.items() if own]
    common = sorted(set.intersection(*(set(table[arm]) for arm in present))) if present else []
    chances = dict.fromkeys(scores, math.nan)
    if len(common) < 2:
        return chances
    sign = 1 if direction == "max" else -1
    y = sign * np.array([[table[arm][s] for arm in present] for s in common], dtype=np.float64)
    drawn = _means(y, draws, np.random.Generator(np.random.Philox(seed)))
    share = on_front(drawn, [costs[arm] for arm in present]).mean(axis=0)
    return chances | dict(zip(present, share.tolist(), strict=True))


def _means(y: Array, draws: int, rng: np.random.Generator) -> Array:
    """Draws of the arms' mean scores (draws, arms) from scores y (n, arms)."""
    n = len(y)
    scale = np.sqrt(n * rng.chisquare(n - 1, size=(draws, 1)))
    return np.asarray(y.mean(axis=0) + rng.normal(size=(draws, n)) @ (y - y.mean(axis=0)) / scale)
