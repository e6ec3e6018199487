"""The course of one number over the epochs: how much was gained, how fast at the end, and whether it was lost again.

gain  |            ..---'''   pace = slope of the last quarter / slope from the first value to the last quarter
      |        .-'            1: a straight line      0: it has settled      negative: it gets worse
      |  .'                   an exponential approach at pace 0.2 has 4% of its gain yet to come
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablab.stats import critical_t

Array = NDArray[np.float64]

FEWEST = 4  # values: below, a last quarter and what came before cannot be told apart
TESTED = 4  # values in the last quarter from which on a slope is tested; below, all of it must go one way
QUARTERS = 8  # values: below, a quarter is a single one, and nothing can be said to be lost
ALPHA = 0.05  # two-sided, for a slope or a loss that counts as one


@dataclass(frozen=True)
class Trend:
    """The last quarter: a least-squares `slope` in gain an epoch, its standard `error` (NaN below four values).

    `typical` is the lower median of the gains from one value to the next, an epoch: a single jump, as where an
    augmentation ends, moves the slope and not it. `sure` says whether the slope is beyond chance: by a t test at
    `ALPHA`, or, below four values, because all gains have one sign. Residuals count as independent; an averaged
    network's scores are not quite, so their error is a little too small.
    """

    slope: float
    error: float
    typical: float
    sure: bool

    @property
    def rises(self) -> bool:
        """Whether it gains, beyond chance, and by more than a single jump."""
        return self.sure and min(self.slope, self.typical) > 0

    @property
    def falls(self) -> bool:
        """Whether it loses, beyond chance."""
        return self.sure and self.slope < 0


@dataclass(frozen=True)
class Course:
    """One column, read so that up is good: gains are in the column's own units, `best` and `last` are its values.

    `gained` is from the first value to the mean of the last quarter; `late` the trend over the last quarter; `pace` its
    slope over the mean slope until then, NaN where nothing was gained. `lost` is how far the mean of the last quarter
    lies below that of the best quarter before, 0 where it does not, `lost_error` its standard error, and `critical` how
    many of those it must pass; `peak` is the last epoch of that best quarter. Below eight values nothing is lost.
    """

    values: int
    first: float
    best: float
    best_epoch: int
    last: float
    gained: float
    late: Trend
    pace: float
    lost: float
    lost_error: float
    critical: float
    peak: int


def course(epochs: Sequence[float], values: Sequence[float], direction: str) -> Course | None:
    """Read values (E,) over epochs (E,), NaN where there is none; None below four finite ones.

    `direction` is "max" or "min", whichever is better.
    """
    at, seen = np.asarray(epochs, np.float64), np.asarray(values, np.float64)
    finite = np.isfinite(seen)
    at, seen = at[finite], seen[finite]
    if len(seen) < FEWEST:
        return None
    up = seen if direction == "max" else -seen
    window = max(2, math.ceil(len(up) / 4)) + 1  # values around the gains of the last quarter
    late = trend(at[-window:], up[-window:])
    gained = float(up[-window:].mean() - up[0])
    mean = gained / float(at[-window:].mean() - at[0])
    lost, error, peak = _lost(up) if len(up) >= QUARTERS else (0.0, math.nan, len(up) - 1)
    top = int(up.argmax())
    pace = min(late.slope, late.typical) / mean if gained > 0 else math.nan
    ends = float(seen[0]), float(seen[top]), int(at[top]), float(seen[-1])
    return Course(len(up), *ends, gained, late, pace, lost, error, float(critical_t(len(up), ALPHA)), int(at[peak]))


def trend(x: Array, y: Array) -> Trend:
    """The least-squares line through y (N,) over x (N,), N >= 3 (Draper & Smith 1998, section 1.4)."""
    away = x - x.mean()
    spread = float((away**2).sum())
    slope = float((away * y).sum()) / spread
    gains = np.sort(np.diff(y) / np.diff(x))
    typical = float(gains[(len(gains) - 1) // 2])
    if len(x) < TESTED:
        return Trend(slope, math.nan, typical, bool((gains > 0).all() or (gains < 0).all()))
    free = len(x) - 2
    rest = y - y.mean() - slope * away
    error = math.sqrt(float((rest**2).sum()) / free / spread)
    return Trend(slope, error, typical, abs(slope) > float(critical_t(free + 1, ALPHA)) * error)


def _lost(up: Array) -> tuple[float, float, int]:
    """How far the last quarter lies below the best of the three before, the error of that, and where the best ends.

    The noise of a single value comes from successive differences (von Neumann 1941), into which a trend hardly enters.
    """
    quarters = np.array_split(np.arange(len(up)), 4)
    means = [float(up[each].mean()) for each in quarters]
    best = int(np.argmax(means[:3]))
    noise = math.sqrt(float((np.diff(up) ** 2).mean()) / 2)
    error = noise * math.sqrt(1 / len(quarters[best]) + 1 / len(quarters[3]))
    return max(0.0, means[best] - means[3]), error, int(quarters[best][-1])
