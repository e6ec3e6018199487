"""Welch's t against scipy."""

import math

import numpy as np
import pytest
from scipy import stats as reference

from ablab.stats import compare, equivalence_interval, interval, welch

A = np.array([0.512, 0.534, 0.498, 0.541, 0.527, 0.560, 0.515])
B = np.array([0.498, 0.529, 0.501])


@pytest.mark.parametrize(("a", "b"), [(A, B), (B, A), (A[:2], B), (A, A[:3] + 0.1), (A, [0.5, 0.5, 0.5001])])
def test_welch_is_scipys(a, b):
    ours, theirs = welch(a, b), reference.ttest_ind(a, b, equal_var=False)
    assert float(ours.t) == pytest.approx(theirs.statistic)
    assert float(ours.df) == pytest.approx(theirs.df)
    assert float(ours.p) == pytest.approx(theirs.pvalue)
    assert interval(ours, 0.05) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert equivalence_interval(ours, 0.05) == pytest.approx(tuple(theirs.confidence_interval(0.90)))
    assert ours.n == min(len(a), len(b))


def test_sd_is_what_two_single_runs_differ_by():
    rng = np.random.Generator(np.random.Philox(1))
    a, b = rng.normal(1, 2, 50_000), rng.normal(0, 0.5, 50_000)
    assert float(welch(a, b).sd) == pytest.approx((a - b).std(), rel=0.02)
    assert float(welch(a, b).sd) == pytest.approx(float(compare(a - b).sd), rel=0.02)


@pytest.mark.parametrize(("a", "b"), [([], [0.5]), ([0.5], [0.4, 0.3]), ([0.5, 0.6], [0.4])])
def test_below_two_runs_a_side_nothing_is_bounded(a, b):
    found = welch(a, b)
    assert math.isnan(found.p)
    assert interval(found, 0.05) == (-math.inf, math.inf)
    assert math.isnan(found.effect) == (not a)


def test_no_spread():
    assert (float(welch([0.5, 0.5], [0.4, 0.4]).p), float(welch([0.5, 0.5], [0.5, 0.5, 0.5]).p)) == (0.0, 1.0)
