"""Power against the table of statistics.md, scipy's noncentral t where that is a number, and a simulation."""

import math

import numpy as np
import pytest
from scipy import stats as reference

from ablab.errors import ConfigError
from ablab.stats import (
    MOST_SEEDS,
    blocked,
    compare,
    critical_dunnett,
    critical_t,
    detection_power,
    fresh_seeds,
    seeds_needed,
    smallest_detectable,
)


@pytest.mark.parametrize(
    ("n", "arms", "effect"), [(3, 1, 3.26), (5, 1, 1.68), (10, 1, 1.00), (3, 6, 8.02), (5, 6, 2.76), (10, 6, 1.37)]
)
def test_smallest_detectable_effect_of_the_design_table(n, arms, effect):
    assert smallest_detectable(n, arms=arms) == pytest.approx(effect, abs=0.005)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40])
@pytest.mark.parametrize("effect", [0.0, 0.5, 1.7])
def test_power_is_the_noncentral_t(n, effect):
    c, shift = critical_t(n, 0.05), effect * n**0.5
    wanted = reference.nct.sf(c, n - 1, shift) + reference.nct.cdf(-c, n - 1, shift)
    if np.isfinite(wanted):
        assert detection_power(effect, n) == pytest.approx(wanted, abs=1e-6)
    assert detection_power(0.0, n) == pytest.approx(0.05, abs=1e-6)  # no effect: the level itself


def test_power_in_a_simulation():
    d = np.random.Generator(np.random.Philox(5)).normal(smallest_detectable(5), 1, size=(20_000, 5))
    assert (compare(d).p < 0.05).mean() == pytest.approx(0.8, abs=0.012)  # +-4 standard errors


def test_power_is_finite_where_scipys_noncentral_t_is_not():
    values = detection_power(1e4, [2, 3, 5, 10], arms=60)
    assert values == pytest.approx(np.ones(4))


def test_one_seed_detects_nothing_and_an_odd_power_is_refused():
    assert smallest_detectable(1) == math.inf
    for power in (0.0, 0.05, 1.0):
        with pytest.raises(ConfigError, match="power"):
            smallest_detectable(5, power=power)


def test_seeds_needed_inverts_the_smallest_detectable_effect():
    for n in (3, 5, 10, 30):
        assert seeds_needed(smallest_detectable(n) * 1.0001) == n
        assert seeds_needed(-smallest_detectable(n) * 0.9999) == n + 1
    assert seeds_needed(1e9) == 2
    assert seeds_needed(1e-9) == MOST_SEEDS


def test_fresh_seeds_by_hand():
    # n = 3: chi2(2) has its 10% and 90% points at -2 ln 0.9 = 0.2107 and -2 ln 0.1 = 4.605
    low, high = 0.01 * (2 / 4.60517) ** 0.5, 0.01 * (2 / 0.210721) ** 0.5
    wanted = (seeds_needed(0.01 / low, arms=2), seeds_needed(0.01 / high, arms=2))
    assert fresh_seeds(0.01, 3, 0.01, arms=2) == wanted
    assert wanted[0] < seeds_needed(1.0, arms=2) < wanted[1]
    assert fresh_seeds(1.0, 3, 0.001) == (MOST_SEEDS, MOST_SEEDS)
    # more seeds know the noise better
    narrow, wide = fresh_seeds(0.01, 30, 0.01), fresh_seeds(0.01, 3, 0.01)
    assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]


def test_dunnetts_power_is_that_of_the_blocked_test():
    n, arms = 3, 6
    effect = smallest_detectable(n, arms=arms, method="dunnett")
    assert effect < smallest_detectable(n, arms=arms) / 3
    rng = np.random.Generator(np.random.Philox(6))
    shift = np.r_[0, effect * 2**0.5, np.zeros(arms - 1)]  # sd(d) is sqrt(2) times an arm's own noise
    t = np.array([blocked(rng.normal(size=(n, 1 + arms)) + shift).t[0] for _ in range(4000)])
    assert (np.abs(t) > critical_dunnett(arms, arms * (n - 1), 0.05)).mean() == pytest.approx(0.8, abs=0.026)
    assert seeds_needed(effect * 1.001, arms=arms, method="dunnett") == n
    assert detection_power(1.5, [3, 5], method="dunnett") == pytest.approx(detection_power(1.5, [3, 5]))  # one arm
