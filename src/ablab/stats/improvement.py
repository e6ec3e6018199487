"""How often a run of the arm beats a run of the baseline; a tie counts half.

    paired      P(d > 0) + P(d = 0) / 2                         over seeds
    unpaired    P(X > Y) + P(X = Y) / 2 = U / (m n)             over all pairs of runs

Source: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice", section 4.3 and
appendix A.2 (rliable's probability of improvement, which is unpaired); U is Mann and Whitney's (1947).

A percentile bootstrap over a handful of seeds answers [1, 1] as soon as all of them win. Both intervals here hold at
any n: three wins of three say "0.29 or more", and no more.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special


class Improvement(NamedTuple):
    """A probability with its 1 - alpha interval; NaN and (0, 1) where nothing was compared."""

    probability: float
    interval: tuple[float, float]


NOTHING = Improvement(math.nan, (0.0, 1.0))


def improvement(differences: ArrayLike, alpha: float = 0.05) -> Improvement:
    """The share of differences (n,) above zero, with Clopper and Pearson's exact interval (1934).

    Its lower end counts ties as losses and its upper end as wins, so that it covers at 1 - alpha with ties, too.
    """
    d = np.asarray(differences, dtype=np.float64)
    if not d.size:
        return NOTHING
    wins, at_most = int((d > 0).sum()), int((d >= 0).sum())
    low = float(special.betaincinv(wins, d.size - wins + 1, alpha / 2)) if wins else 0.0
    high = float(special.betaincinv(at_most + 1, d.size - at_most, 1 - alpha / 2)) if at_most < d.size else 1.0
    return Improvement((wins + at_most) / 2 / d.size, (low, high))


def unpaired_improvement(arm: ArrayLike, baseline: ArrayLike, alpha: float = 0.05) -> Improvement:
    """The share of pairs of arm (m,) and baseline (n,) in which the arm scores more, with Hoeffding's interval.

    U / (m n) is a mean over ways to form k = min(m, n) independent pairs, so the Chernoff bound of k trials holds for
    it (Hoeffding 1963, Theorem 1 with section 5b): the interval is {q: k KL(p, q) <= ln(2 / alpha)}. It assumes no
    shape and no large sample; where every pair is won it is Clopper and Pearson's for k.
    """
    a, b = np.asarray(arm, dtype=np.float64)[:, None], np.asarray(baseline, dtype=np.float64)[None, :]
    if not a.size or not b.size:
        return NOTHING
    p = float(((a > b) + 0.5 * (a == b)).mean())
    reach = math.log(2 / alpha) / min(a.size, b.size)
    low = optimize.brentq(lambda q: _divergence(p, q) - reach, 1e-300, p) if p > 0 else 0.0
    high = 1 - optimize.brentq(lambda q: _divergence(1 - p, q) - reach, 1e-300, 1 - p) if p < 1 else 1.0
    return Improvement(p, (float(low), float(high)))


def _divergence(p: float, q: float) -> float:
    """Kullback and Leibler's divergence of a coin q from a coin p, in nats."""
    return float(special.rel_entr(p, q) + special.rel_entr(1 - p, 1 - q))
