"""All arms against one baseline with one pooled noise: blocked analysis of variance and Dunnett's simultaneous test.

    score(arm, seed) = mean + arm + seed + noise       se^2 = 2 * MS(residual) / n       df = K * (n - 1)

It assumes equal seed noise in every arm, so it is an opt-in: Holm on each arm's own paired t assumes nothing of the
kind. What it buys is degrees of freedom: at n = 3 and K = 6 the critical t is 2.98 (Bonferroni's over the same pooled
noise: 3.15) instead of Bonferroni's 10.9. Source: Dunnett 1955 and 1964 (the exact two-sided tables); seeds as blocks:
Montgomery, "Design and Analysis of Experiments", chapter 4.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from ablab.stats.paired import ROUNDING, Array, Comparison, student

_LARGEST = np.linspace(0, 3.5, 1601) ** 2  # the largest of K absolute differences, each over its own sd; fine near 0
_BASELINE = np.linspace(-9, 9, 361)  # a standard normal's mass outside is 2e-19


def blocked(scores: ArrayLike) -> Comparison:
    """Every arm against the first column of scores (n, 1 + K): one effect an arm (K,), one standard error for all.

    Every cell is filled. `sd` is sqrt(2 MS), the pooled spread of one difference between two arms at a seed.
    """
    y = np.asarray(scores, dtype=np.float64)
    n, arms = y.shape[0], y.shape[1] - 1
    if n < 2 or not arms:
        effect = (y[:, 1:] - y[:, :1]).mean(axis=0) if n else np.full(arms, np.nan)
        return student(min(n, 1), effect, effect, effect, 0)
    residual = y - y.mean(axis=0) - y.mean(axis=1, keepdims=True) + y.mean()
    if np.abs(residual).max() <= ROUNDING * np.abs(y).max():
        residual = np.zeros_like(y)
    sd = np.full(arms, np.sqrt(2 * (residual**2).sum() / (arms * (n - 1))))
    effect = (y[:, 1:] - y[:, :1]).mean(axis=0)
    return student(n, effect, sd, sd / np.sqrt(n), arms * (n - 1))


def dunnett_p(t: ArrayLike, arms: int, df: ArrayLike) -> Array:
    """Dunnett's two-sided p of every |t| (...), adjusted for `arms` arms against one baseline of as many seeds.

    P(max |T| > t) = E_M P(chi2(df) < df (M / t)^2), where M = max |Z_k - Z_0| / sqrt(2) over independent normals.
    """
    size = np.abs(np.asarray(t, dtype=np.float64))[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(size == 0, np.inf, _LARGEST / size)
    beyond = special.chdtr(np.asarray(df)[..., None], np.asarray(df)[..., None] * ratio**2)
    return np.minimum(_integral(beyond * _density(arms), _LARGEST), 1.0)


@lru_cache(maxsize=64)
def critical_dunnett(arms: int, df: float, alpha: float) -> float:
    """The two-sided critical value for `arms` arms against one baseline: 2.98 at 6 arms, 12 degrees and 0.05."""
    top = 2.0
    while dunnett_p(top, arms, df) > alpha:
        top *= 2
    return float(optimize.brentq(lambda t: float(dunnett_p(t, arms, df)) - alpha, 1e-3, top))


def dunnett_interval(comparison: Comparison, alpha: float, arms: int) -> tuple[Array, Array]:
    """The simultaneous intervals (K,): all hold together with probability 1 - alpha; (-inf, inf) below two blocks."""
    if comparison.n < 2:
        infinite = np.full(comparison.effect.shape, np.inf)
        return -infinite, infinite
    half = critical_dunnett(arms, float(comparison.df.flat[0]), alpha) * comparison.se
    return comparison.effect - half, comparison.effect + half


@lru_cache(maxsize=64)
def _density(arms: int) -> Array:
    """The density of M on `_LARGEST`, given the baseline's normal and then averaged over it."""
    reach = np.sqrt(2) * _LARGEST[:, None]
    inside = special.ndtr(_BASELINE + reach) - special.ndtr(_BASELINE - reach)
    edge = np.sqrt(2) * (_normal(_BASELINE + reach) + _normal(_BASELINE - reach))
    return _integral(arms * inside ** (arms - 1) * edge * _normal(_BASELINE), _BASELINE)


def _integral(values: Array, x: Array) -> Array:
    """Over the last axis, by Simpson's rule."""
    from scipy import integrate  # slow to import, and most studies never ask

    return np.asarray(integrate.simpson(values, x=x, axis=-1))


def _normal(z: Array) -> Array:
    return np.asarray(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))
