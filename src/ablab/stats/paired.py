"""One arm against the baseline over common seeds: the paired t, the exact sign-flip test, the pairing correlation.

    d_s = M(arm, s) - M(baseline, s)          interval = mean(d) +- t(n - 1) * sd(d) / sqrt(n)

The functions that take differences work on the last axis, so that a simulation judges many studies at once. Never a
percentile bootstrap over a handful of seeds: over 3 it covers 75%, not 95%.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ablab.errors import ConfigError

Array = NDArray[np.float64]

FEWEST_FOR_SIGN_FLIP = 6  # below it the smallest two-sided p is 0.0625: the test could never reject at 0.05
MOST_FOR_SIGN_FLIP = 20  # 2**19 sums; with more seeds the t stands on its own
ROUNDING = 1e-9  # relative
FEWEST_FOR_PAIRING = 3  # two points always lie on a line


@dataclass(frozen=True)
class Comparison:
    """What scores say of a mean difference; every array has the shape (...) that precedes the seeds' axis.

    `n` counts pairs, or the smaller group where there are none. `sd` is the spread of one difference of arm and
    baseline, `se` the effect's standard error, with `df` degrees of freedom: sd / sqrt(n) and n - 1 in the paired t.
    `effect`, `sd` and `se` are in the metric's units. All but `effect` are NaN below n = 2, `effect` is NaN at none.
    Identical differences have `sd` 0: then the two-sided p is 0, or 1 where they are all zero.
    """

    n: int
    effect: Array
    sd: Array
    se: Array
    df: Array
    t: Array
    p: Array

    def at(self, index: int) -> Comparison:
        """One comparison of an array of them."""
        return replace(self, **{name: getattr(self, name)[index] for name in ("effect", "sd", "se", "df", "t", "p")})


def student(n: int, effect: Array, sd: Array, se: Array, df: ArrayLike) -> Comparison:
    """The comparison whose t = effect / se has `df` degrees of freedom; unknown below n = 2."""
    if n < 2:
        unknown = np.full(effect.shape, np.nan)
        return Comparison(n, effect, unknown, unknown, unknown, unknown, unknown)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(effect == 0, 0.0, effect / se)
    freedom = np.broadcast_to(np.asarray(df, dtype=np.float64), t.shape)
    return Comparison(n, effect, sd, se, freedom, t, 2 * special.stdtr(freedom, -np.abs(t)))


def compare(differences: ArrayLike) -> Comparison:
    """Student's paired t test on differences (..., n)."""
    d = np.asarray(differences, dtype=np.float64)
    n = d.shape[-1]
    if n < 2:
        effect = d[..., 0] if n else np.full(d.shape[:-1], np.nan)
        return student(n, effect, effect, effect, 0)
    # 0.7 - 0.6 and 0.5 - 0.4 are one number but for rounding: a spread as small as that is none.
    same = np.ptp(d, axis=-1) <= ROUNDING * np.abs(d).max(axis=-1)
    effect = np.where(same, d[..., 0], d.mean(axis=-1))
    sd = np.where(same, 0.0, d.std(axis=-1, ddof=1))
    return student(n, effect, sd, sd / np.sqrt(n), n - 1)


def critical_t(n: ArrayLike, alpha: float) -> Array:
    """The two-sided critical value of Student's t with n - 1 degrees of freedom; n >= 2."""
    return -special.stdtrit(np.asarray(n) - 1, alpha / 2)


def interval(comparison: Comparison, alpha: float) -> tuple[Array, Array]:
    """The two-sided 1 - alpha interval for the effect; (-inf, inf) below two pairs, which bound nothing."""
    if comparison.n < 2:
        infinite = np.full(comparison.effect.shape, np.inf)
        return -infinite, infinite
    half = critical_t(comparison.df + 1, alpha) * comparison.se
    return comparison.effect - half, comparison.effect + half


def sign_flip(differences: ArrayLike) -> float:
    """The exact two-sided p of the sign-flip (Fisher's randomisation) test on differences (n,).

    All 2**n sign patterns are counted; by symmetry half of them are enough. Raises ConfigError above
    `MOST_FOR_SIGN_FLIP` differences and for none.
    """
    d = np.asarray(differences, dtype=np.float64)
    if not 1 <= d.size <= MOST_FOR_SIGN_FLIP:
        raise ConfigError(f"the exact sign-flip test takes 1 to {MOST_FOR_SIGN_FLIP} differences, got {d.size}")
    sums = d[:1]
    for value in d[1:]:
        sums = np.concatenate([sums + value, sums - value])
    observed = abs(d.sum()) - ROUNDING * np.abs(d).sum()
    return float(np.mean(np.abs(sums) >= observed))


def pairing(arm: ArrayLike, baseline: ArrayLike) -> float | None:
    """The correlation of arm and baseline (n,) over seeds; None below three pairs or where one side does not vary.

    Below `pairing_threshold(n)` the pairs cost more than they bring.
    """
    a, b = np.asarray(arm, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if a.size < FEWEST_FOR_PAIRING or not np.ptp(a) or not np.ptp(b):
        return None
    return float(np.corrcoef(a, b)[0, 1])


def pairing_threshold(n: int, alpha: float = 0.05) -> float:
    """The correlation over n >= 2 seeds above which pairs give the narrower interval: 0.58 at 3, 0.31 at 5, 0.14 at 10.

    The variance of a difference is 2 v (1 - r) over pairs and 2 v without; the t's have n - 1 and 2 n - 2 degrees of
    freedom. So t(n - 1)^2 (1 - r) < t(2 n - 2)^2, that is r > 1 - (t(2 n - 2) / t(n - 1))^2. Source: the relative
    efficiency of blocks with its correction for degrees of freedom (Cox 1958, "Planning of Experiments", appendix to
    chapter 3), read off the interval's width.
    """
    return float(1 - (critical_t(2 * n - 1, alpha) / critical_t(n, alpha)) ** 2)
