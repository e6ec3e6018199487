"""Boundaries against the published figures and Student's t; looks, intervals and stopping against simulations."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from ablab.errors import ConfigError
from ablab.stats import compare, equivalent, interval
from ablab.stats.sequential import Rules, boundaries, conditional_power, levels, spent, take, verdict

LOOKS = (3, 5, 8, 12)
STUDIES = 20_000
LIMIT_5 = 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / STUDIES)  # 99% binomial limit, as in statistics.md


def noise(*shape: int) -> NDArray[np.float64]:
    return np.random.default_rng(5).standard_normal(shape)


def ever(differences: NDArray[np.float64], looks: tuple[int, ...], nominal: tuple[float, ...]) -> NDArray[np.bool_]:
    """Whether any look finds p below its level, over the last axis."""
    return np.any([compare(differences[..., :n]).p < p for n, p in zip(looks, nominal, strict=True)], axis=0)


def test_the_boundaries_are_the_published_ones() -> None:
    assert boundaries(LOOKS, 0.05) == pytest.approx((7.37, 4.42, 3.23, 2.78), rel=0.01)


def test_one_look_is_students_t() -> None:
    assert boundaries((7,), 0.05)[0] == pytest.approx(scipy_stats.t.ppf(0.975, 6), rel=1e-12)
    assert levels((7,), 0.05)[0] == pytest.approx(0.05, rel=1e-12)


def test_the_first_look_of_six_arms_at_three_seeds_would_need_18() -> None:
    first = scipy_stats.t.ppf(1 - spent(3 / 12, 0.05 / 6) / 2, 2)
    assert first == pytest.approx(18.3, abs=0.05)
    assert boundaries(LOOKS, 0.05 / 6)[0] == pytest.approx(first, rel=1e-9)


def test_all_of_alpha_is_spent_at_the_end() -> None:
    assert spent(1.0, 0.05) == pytest.approx(0.05)
    assert spent(0.0, 0.05) == 0.0
    assert spent(0.25, 0.05) == pytest.approx(0.05 * math.log(1 + (math.e - 1) / 4))


def known_sd(fractions: tuple[float, ...], alpha: float) -> list[float]:
    """Boundaries for a known sd by recursive integration (Armitage, McPherson & Rowe 1969) of Brownian motion."""
    x = np.linspace(-6, 6, 2401)
    density, before, found = np.where(np.abs(x) < 1e-9, 1 / (x[1] - x[0]), 0.0), 0.0, list[float]()
    for fraction in fractions:
        step = scipy_stats.norm.pdf((x[:, None] - x) / math.sqrt(fraction - before)) / math.sqrt(fraction - before)
        density = step @ density * (x[1] - x[0])
        tail = 2 * np.cumsum(density[::-1]) * (x[1] - x[0])  # beyond each x from above; symmetric
        found.append(float(np.interp(spent(fraction, alpha) - spent(before, alpha), tail, x[::-1])))
        density[np.abs(x) >= found[-1]], before = 0.0, fraction
    return [edge / math.sqrt(fraction) for edge, fraction in zip(found, fractions, strict=True)]


def test_many_seeds_are_the_boundaries_of_a_known_sd() -> None:
    normal = known_sd((0.2, 0.4, 0.6, 0.8, 1.0), 0.05)
    assert boundaries((2000, 4000, 6000, 8000, 10000), 0.05) == pytest.approx(normal, rel=0.01)


def test_draws_agree_with_whole_samples() -> None:
    """The boundaries come from sums and sums of squares; here every difference is drawn."""
    paths, looks = noise(400_000, 8), (5, 8)
    first, second = boundaries(looks, 0.05 / 6)
    t = [np.abs(compare(paths[:, :n]).t) for n in looks]
    later = np.mean((t[0] < first) & (t[1] >= second))
    wanted = 0.05 / 6 - spent(5 / 8, 0.05 / 6)
    assert later == pytest.approx(wanted, abs=4 * math.sqrt(wanted / 400_000))


@pytest.mark.parametrize("looks", [(), (1, 5), (5, 5), (8, 5)])
def test_looks_must_grow(looks: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="growing numbers of seeds"):
        boundaries(looks, 0.05)


def test_looking_after_every_seed_is_wrong_17_percent_of_the_time_and_ours_is_not() -> None:
    paths, every = noise(STUDIES, 10), tuple(range(3, 11))
    naive = ever(paths, every, (0.05,) * len(every)).mean()
    assert naive == pytest.approx(0.17, abs=0.01)
    assert 0.04 < ever(paths, every, levels(every, 0.05)).mean() < LIMIT_5


def test_the_family_of_six_arms_is_wrong_at_most_5_percent_of_the_time() -> None:
    """Six useless changes against one baseline: any HELPS or HURTS at any look."""
    rng = np.random.default_rng(11)
    looks = (5, 8, 12)
    scores = rng.standard_normal((STUDIES, 7, 12))
    wrong = ever(scores[:, 1:] - scores[:, :1], looks, levels(looks, 0.05 / 6)).any(axis=1)
    assert 0.02 < wrong.mean() < LIMIT_5


def test_the_boundarys_interval_holds_at_all_looks_at_once() -> None:
    paths, looks = noise(STUDIES, 12) + 0.7, (5, 8, 12)
    missed = np.zeros(STUDIES, dtype=np.bool_)
    for n, level in zip(looks, levels(looks, 0.05), strict=True):
        low, high = interval(compare(paths[:, :n]), level)
        missed |= (low > 0.7) | (high < 0.7)
    assert 0.04 < missed.mean() < LIMIT_5


@pytest.mark.parametrize("margin", [0.8, 2.0])
def test_false_equivalence_at_the_margin_is_at_most_alpha(margin: float) -> None:
    paths, looks = noise(STUDIES, 12) + margin, (5, 8, 12)
    nominal = levels(looks, 0.10)
    claimed = [equivalent(compare(paths[:, :n]), margin, p / 2) for n, p in zip(looks, nominal, strict=True)]
    assert np.any(claimed, axis=0).mean() < LIMIT_5


RULES = Rules((5, 8, 12), arms=1, smallest_interesting=0.01)
CLEAR = np.array([0.030, 0.032, 0.029, 0.031, 0.030])
LOST = np.array([-0.02, 0.03, -0.03, 0.02, 0.0])


def test_a_clear_effect_stops_at_the_first_look_and_prints_the_boundarys_interval() -> None:
    look = take(CLEAR, 1, RULES)
    t, p = scipy_stats.ttest_1samp(CLEAR, 0)
    assert (look.outcome, look.stops) == ("helps", True)
    assert look.t == pytest.approx(t)
    assert look.boundary == pytest.approx(boundaries((5, 8, 12), 0.05)[0])
    assert p < levels((5, 8, 12), 0.05)[0]
    half = look.boundary * CLEAR.std(ddof=1) / math.sqrt(5)
    assert look.interval == pytest.approx((CLEAR.mean() - half, CLEAR.mean() + half))
    assert half > scipy_stats.t.ppf(0.975, 4) * CLEAR.std(ddof=1) / math.sqrt(5)


def test_the_good_direction_decides_between_helps_and_hurts() -> None:
    assert take(-CLEAR, 1, RULES).outcome == "hurts"
    assert take(-CLEAR, 1, Rules((5, 8, 12), 1, 0.01, "min")).outcome == "helps"


def test_an_arm_goes_on_until_the_last_look_and_is_undecided_there() -> None:
    assert take(LOST, 1, RULES).outcome == "goes on"
    assert take(np.resize(LOST, 12), 3, RULES).outcome == "undecided"


def test_equivalence_needs_the_boundary_inside_the_margin() -> None:
    flat = np.array([0.001, -0.001, 0.002, -0.002, 0.0])
    look = take(flat, 1, RULES)
    assert (look.outcome, math.isnan(look.conditional_power)) == ("equivalent", True)
    # The plain 90% interval is inside +-0.0016, the boundary's is not.
    assert take(flat, 1, Rules((5, 8, 12), 1, 0.0016)).outcome == "goes on"
    assert np.abs(interval(compare(flat), 0.1)).max() < 0.0016


def test_futility_stops_an_arm_only_where_it_was_declared() -> None:
    look = take(LOST, 1, RULES)
    assert look.outcome == "goes on"
    assert look.conditional_power < 0.1
    assert take(LOST, 1, Rules((5, 8, 12), 1, 0.01, futility=0.1)).outcome == "futile"


def test_conditional_power_in_limiting_cases() -> None:
    assert conditional_power(LOST, 3, RULES) == 0.0  # no look is left
    assert math.isnan(conditional_power([0.01], 1, RULES))
    assert math.isnan(conditional_power([0.01, 0.01, 0.01], 1, RULES))
    assert conditional_power([0.1, 0.3, -0.2, 0.2, 0.0], 1, Rules((5, 8, 12), 1, 5.0)) > 0.95  # a tide to come
    good = conditional_power(LOST + 0.01, 1, RULES)
    mirror = conditional_power(-LOST - 0.01, 1, Rules((5, 8, 12), 1, 0.01, "min"))
    assert good == pytest.approx(mirror, abs=0.01)


def test_conditional_power_against_whole_samples() -> None:
    seen = np.array([0.02, 0.03, -0.01, 0.02, 0.01])
    ahead = 0.01 + seen.std(ddof=1) * noise(40_000, 7)
    paths = np.column_stack([np.tile(seen, (40_000, 1)), ahead])
    nominal = levels((5, 8, 12), 0.05)
    crossed = ever(paths, (8, 12), nominal[1:]).mean()
    assert conditional_power(seen, 1, RULES) == pytest.approx(crossed, abs=0.015)


def scored(values: NDArray[np.float64]) -> dict[int, float]:
    return dict(enumerate(values.tolist()))


def test_a_verdict_counts_only_the_seeds_of_its_look() -> None:
    baseline = 0.5 + 0.01 * noise(12)
    arm = baseline + np.r_[CLEAR, np.full(7, -5.0)]
    found = verdict("cbam", scored(arm), "baseline", scored(baseline), range(12), 1, RULES)
    assert (found.verdict, found.n, found.against) == ("helps", 5, "baseline")
    assert "stopped at look 1 of 3" in found.qualifiers
    assert found.simultaneous == pytest.approx(take(CLEAR, 1, RULES).interval)
    assert found.interval == found.simultaneous  # one arm
    assert found.equivalence[0] > found.interval[0]
    assert math.isnan(found.p)
    assert math.isnan(found.p_holm)
    assert list(found.differences) == [0, 1, 2, 3, 4]


def test_before_the_first_look_nothing_is_looked_at() -> None:
    found = verdict("cbam", {0: 1.0, 1: 1.0}, "baseline", {0: 0.0, 1: 0.0}, range(12), 0, RULES)
    assert (found.verdict, found.n, found.qualifiers) == ("undecided", 0, ("no look yet",))
    assert math.isnan(found.effect)


def test_a_missing_seed_costs_a_degree_of_freedom_and_is_said() -> None:
    baseline = dict.fromkeys(range(12), 0.5)
    arm = {seed: 0.5 + difference for seed, difference in scored(CLEAR).items() if seed != 3}
    found = verdict("cbam", arm, "baseline", baseline, range(12), 1, RULES)
    assert found.n == 4
    assert "missing seeds: 1" in found.qualifiers
    wider = scipy_stats.t.ppf(1 - levels((5, 8, 12), 0.05)[0] / 2, 3) * found.sd / 2
    assert found.interval == pytest.approx((found.effect - wider, found.effect + wider))


def test_six_arms_are_harder_to_decide_than_one() -> None:
    many = Rules((5, 8, 12), 6, 0.01)
    one, six = (take(CLEAR, 1, rules) for rules in (RULES, many))
    assert six.boundary > one.boundary
    assert six.interval[0] < one.interval[0]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=5, max_size=5),
    st.sampled_from([0.5, 2.0, 1024.0]),
)
def test_units_do_not_matter(values: list[float], scale: float) -> None:
    first = take(values, 1, Rules((5, 8, 12), 3, 0.125))
    other = take(np.array(values) * scale, 1, Rules((5, 8, 12), 3, 0.125 * scale))
    assert first.outcome == other.outcome
    assert first.conditional_power == pytest.approx(other.conditional_power, abs=1e-3, nan_ok=True)


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6, unique=True))
def test_spending_grows_with_the_seeds(fractions: list[float]) -> None:
    assert all(spent(a, 0.05) < spent(b, 0.05) for a, b in pairwise(sorted(fractions)))
