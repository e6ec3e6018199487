"""What n paired seeds can detect, and how many seeds an effect needs, in units of sd(d), the seed noise.

Before training sd(d) is unknown, so that nothing here is in the metric's points unless the caller knows the noise.
"""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from ablab.errors import ConfigError
from ablab.stats.dunnett import critical_dunnett
from ablab.stats.multiplicity import Method
from ablab.stats.paired import Array, critical_t

MOST_SEEDS = 200  # numbers of seeds end here: read it as "200 or more"

_Z = np.linspace(-9, 9, 2001)  # a standard normal's mass outside is 2e-19
_DENSITY = np.exp(-(_Z**2) / 2) / math.sqrt(2 * math.pi) * (_Z[1] - _Z[0])


def detection_power(effect: float, n: ArrayLike, alpha: float = 0.05, arms: int = 1, method: Method = "holm") -> Array:
    """The probability that a paired t test over n >= 2 seeds (...) at alpha / arms detects `effect` (in sd(d)).

    Two-sided; `method` "dunnett" is the blocked test of all arms at once instead, with arms * (n - 1) degrees of
    freedom and its own critical value. The noncentral t as a normal over a chi:
    P(|T| > c) = E_z P(chi2 < df ((z + effect sqrt(n)) / c)^2).
    SciPy's own noncentral t answers NaN at many of the points that a handful of seeds needs.
    """
    n = np.asarray(n)[..., None]
    df, critical = n - 1, critical_t(n, alpha / arms)
    if method == "dunnett":
        df = arms * df
        critical = np.reshape([critical_dunnett(arms, float(each), alpha) for each in df.flat], df.shape)
    ratio = (_Z + effect * np.sqrt(n)) / critical
    return special.chdtr(df, df * ratio**2) @ _DENSITY


def smallest_detectable(
    n: int, alpha: float = 0.05, arms: int = 1, power: float = 0.8, method: Method = "holm"
) -> float:
    """The effect, in units of sd(d), that n seeds detect with probability `power` at alpha / arms; inf below two seeds.

    Raises ConfigError for a power that no effect or every effect has.

    | n | one comparison | at alpha / 6 |
    |---|---|---|
    | 3 | 3.26 | 8.02 |
    | 5 | 1.68 | 2.76 |
    | 10 | 1.00 | 1.37 |
    """
    if n < 2:
        return math.inf
    if not alpha / arms < power < 1:
        raise ConfigError(f"a power between alpha / arms = {alpha / arms:g} and 1 is wanted, got {power:g}")
    enough = 1.0
    while detection_power(enough, n, alpha, arms, method) < power:
        enough *= 2
    return float(optimize.brentq(lambda effect: detection_power(effect, n, alpha, arms, method) - power, 0.0, enough))


def seeds_needed(effect: float, alpha: float = 0.05, arms: int = 1, power: float = 0.8, method: Method = "holm") -> int:
    """The fewest seeds that detect `effect` (in sd(d)) with probability `power` at alpha / arms; at most MOST_SEEDS."""
    counts = range(2, MOST_SEEDS)
    found = bisect_left(counts, power, key=lambda n: float(detection_power(abs(effect), n, alpha, arms, method)))
    return found + counts.start


def fresh_seeds(
    sd: float,
    n: int,
    smallest_interesting: float,
    alpha: float = 0.05,
    arms: int = 1,
    power: float = 0.8,
    method: Method = "holm",
) -> tuple[int, int]:
    """How many seeds a fresh study of as many arms needs to detect `smallest_interesting`, as a range.

    `sd` (> 0, in the metric's units) was measured over n >= 2 seeds, so it is known only to its 80% interval
    sd * sqrt((n - 1) / chi2(n - 1; 0.9 and 0.1)); each end goes through `seeds_needed`. Seeds added to a closed study
    would void alpha instead: 3 -> 6 is 9% false.
    """
    low, high = (sd * math.sqrt((n - 1) / special.chdtri(n - 1, tail)) for tail in (0.1, 0.9))
    return (
        seeds_needed(smallest_interesting / low, alpha, arms, power, method),
        seeds_needed(smallest_interesting / high, alpha, arms, power, method),
    )
