"""The noise floor: how much two runs of one and the same thing differ by luck.

    d = M(run 1) - M(run 2), both new runs of the baseline:  d / (sqrt(2) sd) follows Student's t(n - 1)

where sd was measured over n runs: the prediction interval for the difference of two new observations (Hahn & Meeker
1991, "Statistical Intervals", section 4.8); with sd known it is the repeatability limit 2.8 sd of ISO 5725-6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ablab.stats.paired import critical_t


@dataclass(frozen=True)
class NoiseFloor:
    """What luck alone does to a single run, in the metric's units.

    `sd` is the standard deviation over `n` runs and `low`, `high` its 1 - alpha interval (chi squared). Two single runs
    differ by more than `typical` one time in two, and by more than `large` with probability alpha.
    """

    n: int
    sd: float
    low: float
    high: float
    typical: float
    large: float


def noise_floor(scores: ArrayLike, alpha: float = 0.05) -> NoiseFloor | None:
    """The noise floor from the scores of n runs (n,) that differ in their seed alone; None below two runs."""
    values = np.asarray(scores, dtype=np.float64)
    n = values.size
    if n < 2:
        return None
    sd = float(values.std(ddof=1))
    low, high = (sd * math.sqrt((n - 1) / special.chdtri(n - 1, tail)) for tail in (alpha / 2, 1 - alpha / 2))
    typical, large = (math.sqrt(2) * sd * float(critical_t(n, share)) for share in (0.5, alpha))
    return NoiseFloor(n, sd, low, high, typical, large)
