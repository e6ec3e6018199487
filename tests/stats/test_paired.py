"""The paired t against scipy, the sign-flip test against statistics.md's table and against an enumeration by hand."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from ablab.errors import ConfigError
from ablab.stats import compare, interval, pairing, pairing_threshold, sign_flip

ARM = np.array([0.512, 0.534, 0.498, 0.541, 0.527])
BASELINE = np.array([0.498, 0.529, 0.501, 0.520, 0.519])
numbers = st.floats(-1, 1).map(lambda x: round(x, 6))


def test_paired_t_is_scipys():
    ours, theirs = compare(ARM - BASELINE), reference.ttest_rel(ARM, BASELINE)
    assert float(ours.t) == pytest.approx(theirs.statistic, rel=1e-12)
    assert float(ours.p) == pytest.approx(theirs.pvalue, rel=1e-12)
    assert interval(ours, 0.05) == pytest.approx(tuple(theirs.confidence_interval(0.95)), rel=1e-12)
    assert interval(ours, 0.1) == pytest.approx(tuple(theirs.confidence_interval(0.9)), rel=1e-12)


def test_paired_t_by_hand():
    ours = compare([1.0, 2.0, 3.0])  # mean 2, sd 1, t = 2 * sqrt(3); at two degrees p = 1 - t / sqrt(2 + t^2)
    assert (ours.n, float(ours.effect), float(ours.sd)) == (3, 2.0, 1.0)
    assert float(ours.t) == pytest.approx(2 * 3**0.5)
    assert float(ours.p) == pytest.approx(1 - (12 / 14) ** 0.5)


@pytest.mark.parametrize(("n", "half95", "half90"), [(3, 2.48, 1.69), (5, 1.24, 0.95), (10, 0.72, 0.58)])
def test_half_widths_of_the_design_table(n, half95, half90):
    d = np.arange(n, dtype=float)
    d = (d - d.mean()) / d.std(ddof=1)
    assert interval(compare(d), 0.05)[1] == pytest.approx(half95, abs=0.005)
    assert interval(compare(d), 0.10)[1] == pytest.approx(half90, abs=0.005)


def test_many_studies_at_once_equal_one_at_a_time():
    d = np.random.Generator(np.random.Philox(1)).normal(size=(4, 3, 5))
    together = compare(d)
    for index in product(range(4), range(3)):
        alone = compare(d[index])
        for name in ("effect", "sd", "t", "p"):
            assert getattr(together, name)[index] == pytest.approx(float(getattr(alone, name)), rel=1e-12)


@pytest.mark.parametrize("d", [[], [0.3]])
def test_below_two_pairs_nothing_is_bounded(d):
    ours = compare(d)
    assert np.isnan([ours.sd, ours.t, ours.p]).all()
    assert interval(ours, 0.05) == (-np.inf, np.inf)
    assert float(ours.effect) == 0.3 if d else np.isnan(ours.effect)


@pytest.mark.parametrize(
    ("d", "p"), [([0.0] * 3, 1.0), ([0.1] * 3, 0.0), ([0.7 - 0.6, 0.5 - 0.4], 0.0), ([-0.1] * 7, 0.0)]
)
def test_identical_differences_have_no_spread(d, p):
    ours = compare(d)
    assert float(ours.sd) == 0
    assert float(ours.p) == p
    assert interval(ours, 0.05) == (pytest.approx(d[0]), pytest.approx(d[0]))


@pytest.mark.parametrize(("n", "smallest"), [(1, 1.0), (2, 0.5), (3, 0.25), (5, 0.0625), (6, 0.03125), (8, 2 / 256)])
def test_smallest_sign_flip_p(n, smallest):
    assert sign_flip(np.arange(1, n + 1) / 10) == smallest


@settings(deadline=None)
@given(st.lists(numbers, min_size=1, max_size=8))
def test_sign_flip_is_the_enumeration(d):
    observed = abs(sum(d)) - 1e-9
    flips = [abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in product((1, -1), repeat=len(d))]
    assert sign_flip(d) == np.mean([total >= observed for total in flips])


def test_sign_flip_at_its_limit_agrees_with_the_normal_and_refuses_more():
    d = np.random.Generator(np.random.Philox(2)).normal(0.35, 1, 20)
    z = abs(d.sum()) / np.sqrt((d**2).sum())
    assert sign_flip(d) == pytest.approx(2 * reference.norm.sf(z), abs=0.02)
    for size in (0, 21):
        with pytest.raises(ConfigError, match=f"1 to 20 differences, got {size}"):
            sign_flip(np.ones(size))


def test_pairing():
    assert pairing(ARM, BASELINE) == pytest.approx(reference.pearsonr(ARM, BASELINE).statistic)
    assert pairing([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert pairing([1, 2], [2, 4]) is None
    assert pairing([1, 1, 1], [2, 4, 6]) is None
    assert pairing([2, 4, 6], [1, 1, 1]) is None


@pytest.mark.parametrize(("n", "threshold"), [(3, 0.58), (5, 0.31), (10, 0.14)])
def test_what_pairing_must_reach(n, threshold):
    assert pairing_threshold(n) == pytest.approx(threshold, abs=0.005)  # statistics.md


@pytest.mark.parametrize("n", [3, 5, 10])
def test_at_the_threshold_pairs_and_groups_are_equally_wide(n):
    rng, r = np.random.Generator(np.random.Philox(7)), pairing_threshold(n)
    luck, own = rng.normal(size=(20_000, 1, n)), rng.normal(size=(20_000, 2, n))
    a, b = np.moveaxis(r**0.5 * luck + (1 - r) ** 0.5 * own, 1, 0)
    pairs = (reference.t.ppf(0.975, n - 1) ** 2 * (a - b).var(axis=1, ddof=1) / n).mean()
    groups = (reference.t.ppf(0.975, 2 * n - 2) ** 2 * (a.var(axis=1, ddof=1) + b.var(axis=1, ddof=1)) / n).mean()
    assert pairs == pytest.approx(groups, rel=0.04)


def test_under_holm_with_six_arms_sign_flip_wants_eight_seeds():
    assert next(n for n in range(6, 12) if 6 * sign_flip(np.ones(n)) < 0.05) == 8


def test_what_seeds_added_after_a_look_do_to_alpha():
    """3 -> 6 is 9% false and 3 -> 6 -> 12 is 12%; every seed from 3 to 10 is 17%."""
    d = np.random.Generator(np.random.Philox(9)).normal(size=(40_000, 12))
    found = {n: compare(d[:, :n]).p < 0.05 for n in range(3, 13)}
    for looks, share in (((3,), 0.05), ((3, 6), 0.09), ((3, 6, 12), 0.12), (range(3, 11), 0.17)):
        assert np.any([found[n] for n in looks], axis=0).mean() == pytest.approx(share, abs=0.008)


def test_a_percentile_bootstrap_over_three_seeds_covers_three_in_four():
    """Of 27 resamples the smallest is one in 27, more than 2.5%: the interval is [min, max], which misses 2 / 8."""
    d = np.random.Generator(np.random.Philox(10)).normal(size=(20_000, 3))
    means = d[:, list(product(range(3), repeat=3))].mean(axis=-1)
    low, high = np.quantile(means, [0.025, 0.975], axis=1, method="inverted_cdf")
    assert ((low < 0) & (high > 0)).mean() == pytest.approx(0.75, abs=0.012)
    assert (np.abs(compare(d).t) < 4.303).mean() == pytest.approx(0.95, abs=0.006)
