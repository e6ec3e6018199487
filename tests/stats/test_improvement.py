"""The probability of improvement against rliable's definition and scipy's U, and the coverage of its intervals."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from ablab.stats import improvement, unpaired_improvement

scores = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=7)


def test_pairs_by_hand():
    assert improvement([0.1, 0.2, -0.1, 0.0]).probability == 0.625  # two wins, half a tie, of four
    assert improvement([0.1] * 3).probability == 1.0
    for nothing in (improvement([]), unpaired_improvement([], [0.5])):
        assert math.isnan(nothing.probability)
        assert nothing.interval == (0, 1)


def test_three_wins_of_three_are_no_certainty():
    for found in (improvement([0.1] * 3), unpaired_improvement([2, 3, 4], [0, 1, 1])):
        assert found.probability == 1
        assert found.interval == pytest.approx((0.025 ** (1 / 3), 1.0))  # 0.29: a coin wins thrice one time in eight


@settings(deadline=None)
@given(scores, scores)
def test_unpaired_is_rliables_definition_and_mann_whitneys_u(a, b):
    """rliable: the mean over x in X, y in Y of S(x, y), 1 where y < x, 1/2 where y = x, 0 where y > x."""
    found = unpaired_improvement(a, b)
    assert found.probability == pytest.approx(np.mean([(x > y) + 0.5 * (x == y) for x, y in product(a, b)]))
    assert found.probability == pytest.approx(reference.mannwhitneyu(a, b).statistic / (len(a) * len(b)))
    low, high = found.interval
    assert 0 <= low <= found.probability <= high <= 1
    mirror = unpaired_improvement(b, a)
    assert mirror.interval == pytest.approx((1 - high, 1 - low), abs=1e-9)


@settings(deadline=None)
@given(st.integers(1, 30), st.data())
def test_without_ties_pairs_are_clopper_and_pearsons(n, data):
    wins = data.draw(st.integers(0, n))
    theirs = reference.binomtest(wins, n).proportion_ci(0.95, method="exact")
    assert improvement([1.0] * wins + [-1.0] * (n - wins)).interval == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize(
    ("n", "win", "tie"), [(3, 0.4, 0.2), (3, 0.9, 0.05), (5, 0.5, 0.0), (5, 0.2, 0.6), (6, 0.97, 0.0)]
)
def test_pairs_cover_with_and_without_ties(n, win, tie):
    """Every outcome of n seeds, weighed by its probability: exact coverage, no simulation."""
    chance = {1: win, 0: tie, -1: 1 - win - tie}
    covered = 0.0
    for outcome in product(chance, repeat=n):
        low, high = improvement(outcome).interval
        covered += math.prod(chance[each] for each in outcome) * (low <= win + tie / 2 <= high)
    assert covered >= 0.95


@pytest.mark.parametrize(("m", "n"), [(3, 3), (5, 5), (3, 12)])
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1.0, 0.2), (2.5, 1.0)])
def test_unpaired_covers(m, n, shift, scale):
    rng, studies = np.random.Generator(np.random.Philox(4)), 1000
    truth = reference.norm.cdf(shift / math.hypot(1, scale))
    hits = 0
    for _ in range(studies):
        low, high = unpaired_improvement(rng.normal(shift, 1, m), rng.normal(0, scale, n)).interval
        hits += low <= truth <= high
    assert hits / studies >= 0.95
