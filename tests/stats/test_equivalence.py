"""Equivalence by interval against scipy's two one-sided t tests, and at its limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from ablab.stats import compare, equivalence_interval, equivalent


@settings(deadline=None)
@given(
    st.lists(st.floats(-0.03, 0.03).map(lambda x: round(x, 5)), min_size=2, max_size=12).filter(
        lambda d: np.ptp(d) > 0
    ),
    st.floats(0.001, 0.05),
    st.sampled_from([0.05, 0.05 / 6]),
)
def test_inclusion_is_two_one_sided_tests(d, margin, alpha):
    above = reference.ttest_1samp(d, -margin, alternative="greater").pvalue
    below = reference.ttest_1samp(d, margin, alternative="less").pvalue
    if abs(max(above, below) - alpha) > 1e-9:
        assert bool(equivalent(compare(d), margin, alpha)) == (max(above, below) < alpha)


def test_the_interval_is_90_percent_at_005():
    d = [0.001, -0.002, 0.004, 0.0]
    wanted = reference.ttest_1samp(d, 0).confidence_interval(0.90)
    assert equivalence_interval(compare(d), 0.05) == pytest.approx(tuple(wanted))


def test_one_pair_is_never_equivalent_and_no_difference_always():
    assert not equivalent(compare([0.0]), 1e9, 0.05)
    assert equivalent(compare([0.0, 0.0]), 1e-9, 0.05)


def test_at_the_margin_equivalence_is_claimed_at_most_alpha_of_the_time():
    rng = np.random.Generator(np.random.Philox(4))
    d = rng.normal(0.01, 0.004, size=(20_000, 5))
    claimed = equivalent(compare(d), 0.01, 0.05).mean()
    assert 0.044 < claimed < 0.056  # exact 0.05 for normal noise, +-4 standard errors
