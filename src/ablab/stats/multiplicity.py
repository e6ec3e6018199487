"""Many changes at once: Holm decides, Bonferroni's simultaneous interval is printed.

With K useless changes run once each, at least one beats the baseline with probability 1 - 1 / (K + 1): 86% at K = 6.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ablab.stats.paired import Array, Comparison, interval

Method = Literal["holm", "dunnett"]


def holm(p: ArrayLike) -> Array:
    """Holm's adjusted p-values over the last axis (..., K).

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure". A NaN stays NaN, but its arm counts
    in K: it was declared before the first run.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, axis=-1)  # NaN sorts last, where it disturbs nobody
    remaining = np.arange(values.shape[-1], 0, -1)
    stepped = np.minimum(np.maximum.accumulate(np.take_along_axis(values, order, -1) * remaining, axis=-1), 1.0)
    adjusted = np.empty_like(values)
    np.put_along_axis(adjusted, order, stepped, axis=-1)
    return adjusted


def simultaneous_interval(comparison: Comparison, alpha: float, arms: int) -> tuple[Array, Array]:
    """Bonferroni's interval: all `arms` of them hold together with probability 1 - alpha or more."""
    return interval(comparison, alpha / arms)
