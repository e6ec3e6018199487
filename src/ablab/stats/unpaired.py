"""Two groups of runs that share no seeds: Welch's t (Welch 1947), which lets each have its own noise.

effect = mean(arm) - mean(baseline)         se^2 = v_a / m + v_b / n
df = se^4 / ((v_a / m)^2 / (m - 1) + (v_b / n)^2 / (n - 1))                   (Satterthwaite 1946)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ablab.stats.paired import ROUNDING, Array, Comparison, student


def welch(arm: ArrayLike, baseline: ArrayLike) -> Comparison:
    """Welch's t test of arm (m,) against baseline (n,).

    The comparison's `n` is the smaller of m and n, its `sd` is sqrt(v_a + v_b): what two single runs differ by.
    """
    a, b = np.asarray(arm, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    n = min(a.size, b.size)
    effect = np.asarray(a.mean() - b.mean() if n else np.nan)
    if n < 2:
        return student(n, effect, effect, effect, 0)
    v_a, v_b = _variance(a), _variance(b)
    s_a, s_b = v_a / a.size, v_b / b.size
    weights = s_a**2 / (a.size - 1) + s_b**2 / (b.size - 1)
    df = (s_a + s_b) ** 2 / weights if weights else np.asarray(float(n - 1))
    return student(n, effect, np.sqrt(v_a + v_b), np.sqrt(s_a + s_b), df)


def _variance(scores: Array) -> Array:
    same = np.ptp(scores) <= ROUNDING * np.abs(scores).max()
    return np.asarray(0.0 if same else scores.var(ddof=1))
