"""Dunnett against the published tables and scipy, the blocked analysis of variance against a textbook's."""

import math

import numpy as np
import pytest
from scipy import stats as reference

from ablab.stats import blocked, compare, critical_dunnett, critical_t, dunnett_interval, dunnett_p, interval

# Dunnett 1964, "New tables for multiple comparisons with a control", two-sided, 1 to 9 arms beside the control
TABLE = {
    (5, 0.05): [2.57, 3.03, 3.29, 3.48, 3.62, 3.73, 3.82, 3.90, 3.97],
    (10, 0.05): [2.23, 2.57, 2.76, 2.89, 2.99, 3.07, 3.14, 3.19, 3.24],
    (20, 0.05): [2.09, 2.38, 2.54, 2.65, 2.73, 2.80, 2.86, 2.90, 2.95],
    (10, 0.01): [3.17, 3.53, 3.74, 3.88, 3.99, 4.08, 4.16, 4.22, 4.28],
    (10**4, 0.05): [1.96, 2.21, 2.35, 2.44, 2.51, 2.57, 2.61, 2.65, 2.69],
}

# Montgomery, "Design and Analysis of Experiments", the vascular grafts: six batches of resin (blocks), four pressures
GRAFTS = np.array(
    [
        [90.3, 92.5, 85.5, 82.5],
        [89.2, 89.5, 90.8, 89.5],
        [98.2, 90.6, 89.6, 85.6],
        [93.9, 94.7, 86.2, 87.4],
        [87.4, 87.0, 88.0, 78.9],
        [97.9, 95.8, 93.4, 90.7],
    ]
)


@pytest.mark.parametrize(("df", "alpha"), TABLE)
def test_published_critical_values(df, alpha):
    found = [critical_dunnett(arms, df, alpha) for arms in range(1, 10)]
    assert found == pytest.approx(TABLE[df, alpha], abs=0.0051)


def test_what_pooling_buys_at_three_seeds_and_six_arms():
    assert critical_t(3, 0.05 / 6) == pytest.approx(10.89, abs=0.005)  # Bonferroni, each arm's own noise
    assert reference.t.ppf(1 - 0.05 / 12, 12) == pytest.approx(3.15, abs=0.005)  # Bonferroni, pooled
    assert critical_dunnett(6, 12, 0.05) == pytest.approx(2.98, abs=0.005)


def test_p_is_scipys():
    rng = np.random.Generator(np.random.Philox(1))
    control, *arms = rng.normal(size=(5, 6)) + np.array([[0], [0.5], [1], [2], [4]])
    theirs = reference.dunnett(*arms, control=control, rng=rng)
    assert dunnett_p(theirs.statistic, 4, 25) == pytest.approx(theirs.pvalue, abs=2e-4)  # theirs is Monte Carlo


@pytest.mark.parametrize("df", [1, 2, 4, 12, 60])
@pytest.mark.parametrize("t", [0.0, 0.01, 0.5, 2.0, 9.0])
def test_one_arm_is_students_t(df, t):
    assert float(dunnett_p(t, 1, df)) == pytest.approx(2 * reference.t.sf(t, df), rel=1e-6)
    assert critical_dunnett(1, df, 0.05) == pytest.approx(reference.t.ppf(0.975, df), rel=1e-6)


def test_far_out_p_stays_positive_and_exact():
    """At two degrees p -> E max(X^2, Y^2) / t^2, which for normals of correlation 1/2 is 1 + 2 / pi sqrt(3 / 4)."""
    assert float(dunnett_p(1e4, 2, 2)) == pytest.approx((1 + 2 / math.pi * 0.75**0.5) / 1e8, rel=1e-6)
    assert float(dunnett_p(math.inf, 6, 2)) == 0
    assert math.isnan(float(dunnett_p(math.nan, 6, 2)))


def test_the_textbooks_analysis_of_variance():
    found = blocked(GRAFTS)
    assert found.df.tolist() == [15] * 3
    assert found.se**2 * 6 / 2 == pytest.approx([7.33] * 3, abs=0.005)  # MS(error)
    assert found.effect == pytest.approx([91.68 - 92.82, 88.92 - 92.82, 85.77 - 92.82], abs=0.01)
    low, high = dunnett_interval(found, 0.05, 3)
    assert (high - low) / 2 == pytest.approx([2.61 * math.sqrt(2 * 7.33 / 6)] * 3, abs=0.02)  # d(3, 15) = 2.61


def test_one_arm_and_the_baseline_are_the_paired_t():
    y = GRAFTS[:, :2]
    ours, paired = blocked(y), compare(y[:, 1] - y[:, 0])
    for name in ("effect", "sd", "se", "df", "t", "p"):
        assert getattr(ours, name)[0] == pytest.approx(float(getattr(paired, name)))
    assert np.ravel(dunnett_interval(ours, 0.05, 1)) == pytest.approx(np.ravel(interval(paired, 0.05)))


def test_seeds_are_blocks():
    shifted = GRAFTS + np.array([[0.0], [50], [-20], [3], [7], [100]])
    assert blocked(shifted).p == pytest.approx(blocked(GRAFTS).p)


def test_without_noise_and_with_one_block():
    same = blocked([[0.1, 0.3, 0.1], [0.2, 0.4, 0.2]])
    assert same.sd.tolist() == [0, 0]
    assert same.p.tolist() == [0, 1]
    one = blocked([[0.1, 0.3]])
    assert one.effect == pytest.approx([0.2])
    assert np.isnan(one.p).all()
    assert dunnett_interval(one, 0.05, 1) == (-math.inf, math.inf)


def test_the_family_errs_alpha_of_the_time_where_noise_is_equal():
    rng, studies, arms, n = np.random.Generator(np.random.Philox(3)), 4000, 6, 3
    critical = critical_dunnett(arms, arms * (n - 1), 0.05)
    wrong = [
        np.abs(blocked(rng.normal(size=(n, 1 + arms)) + rng.normal(size=(n, 1))).t).max() > critical
        for _ in range(studies)
    ]
    assert np.mean(wrong) == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / studies) ** 0.5)
