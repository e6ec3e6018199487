"""Verdicts on constructed studies, their symmetries, and a small A/A simulation."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablab.errors import ConfigError, UnknownName
from ablab.stats import blocked, compare, critical_dunnett, critical_t, dunnett_p, fresh_seeds, holm, judge, welch

SEEDS = range(5)
WIGGLE = np.array([-2, -1, 0, 1, 2]) / np.sqrt(2.5)  # mean 0, sd 1


def study(baseline=None, **arms):
    """Scores from differences: {arm: array over seeds}."""
    base = [0.50, 0.53, 0.48, 0.51, 0.55, 0.52, 0.49] if baseline is None else baseline
    scores = {"baseline": dict(enumerate(base))}
    return scores | {arm: {seed: base[seed] + d for seed, d in enumerate(ds)} for arm, ds in arms.items()}


def one(scores, **options):
    (verdict,) = judge(scores, "baseline", **{"smallest_interesting": 0.01} | options)
    return verdict


def test_helps_by_at_least():
    v = one(study(a=0.05 + 0.005 * WIGGLE))
    assert (v.verdict, v.qualifiers, v.n) == ("helps", ("by at least 0.01", "missing seeds: 2"), 5)
    half = float(critical_t(5, 0.05)) * 0.005 / 5**0.5
    assert v.interval == pytest.approx((0.05 - half, 0.05 + half))
    assert v.simultaneous == v.interval  # one arm
    assert v.p == v.p_holm < 0.05
    assert v.fresh_seeds is None
    assert v.differences == pytest.approx(dict(enumerate(0.05 + 0.005 * WIGGLE)))


def test_hurts_is_the_mirror_and_min_flips_what_is_good():
    v = one(study(a=-0.05 + 0.005 * WIGGLE))
    assert (v.verdict, v.qualifiers[0]) == ("hurts", "by at least 0.01")
    v = one(study(a=-0.05 + 0.005 * WIGGLE), direction="min")
    assert v.verdict == "helps"
    assert v.effect == pytest.approx(-0.05)  # the sign stays the metric's


def test_helps_without_reaching_the_margin():
    assert one(study(a=0.012 + 0.005 * WIGGLE)).qualifiers == ("missing seeds: 2",)


def test_helps_below_smallest_interesting():
    v = one(study(a=0.004 + 0.001 * WIGGLE))
    assert (v.verdict, v.qualifiers[0]) == ("helps", "below smallest interesting")


def test_equivalent_pointwise_and_for_all_arms_at_once():
    arms = {f"a{k}": 0.005 * WIGGLE for k in range(6)}
    # half-widths: 0.95 sd at 90%, 2.13 sd at alpha / 6
    pointwise = judge(study(**arms), "baseline", smallest_interesting=0.006)
    assert {v.verdict for v in pointwise} == {"equivalent"}
    assert all("for all arms at once" not in v.qualifiers for v in pointwise)
    together = judge(study(**arms), "baseline", smallest_interesting=0.011)
    assert all("for all arms at once" in v.qualifiers for v in together)


def test_undecided_says_what_a_fresh_study_needs():
    v = one(study(a=0.01 + 0.02 * WIGGLE))
    assert v.verdict == "undecided"
    low, high = v.fresh_seeds
    assert 2 < low < high <= 200


def test_holm_only():
    # p = 0.03 and far below: Holm passes both at K = 2 (0.03 * 1), Bonferroni's interval misses the weaker one.
    t = float(critical_t(5, 0.03))
    weak = 0.01 * (t / 5**0.5 + WIGGLE)
    sure, found = judge(study(sure=0.5 + 0.001 * WIGGLE, weak=weak), "baseline", smallest_interesting=0.01)
    assert found.p == pytest.approx(0.03)
    assert found.p_holm == pytest.approx(0.03)
    assert found.verdict == "helps"
    assert "Holm only" in found.qualifiers
    assert found.simultaneous[0] < 0 < found.interval[0]
    assert "Holm only" not in sure.qualifiers


def test_every_judged_arm_counts_also_controls_and_arms_without_pairs():
    weak = 0.01 * (float(critical_t(5, 0.03)) / 5**0.5 + WIGGLE)
    scores = study(a=weak, **{"a/a": 0.01 * WIGGLE}) | {"crashed": {}}
    verdicts = {v.arm: v for v in judge(scores, "baseline", smallest_interesting=0.001, controls=["a/a"])}
    assert list(verdicts) == ["a", "a/a", "crashed"]
    assert verdicts["a"].p_holm == pytest.approx(3 * 0.03)
    assert verdicts["a"].verdict == "undecided"
    assert verdicts["a/a"].qualifiers[0] == "control"
    crashed = verdicts["crashed"]
    assert (crashed.verdict, crashed.n, crashed.fresh_seeds, crashed.differences) == ("undecided", 0, None, {})
    assert math.isnan(crashed.effect)


def test_one_pair_is_undecided_and_bounds_nothing():
    v = one({"baseline": {7: 0.5}, "a": {7: 0.9}})
    assert (v.verdict, v.n, v.effect) == ("undecided", 1, pytest.approx(0.4))
    assert v.interval == v.simultaneous == v.equivalence == (-math.inf, math.inf)
    assert math.isnan(v.sd)
    assert math.isnan(v.p)
    assert v.pairing is v.p_sign_flip is v.fresh_seeds is None
    assert v.qualifiers == ("screening: n < 5",)


@pytest.mark.parametrize(("d", "verdict"), [(0.0, "equivalent"), (0.125, "helps"), (-0.125, "hurts")])
def test_no_spread_is_said(d, verdict):
    v = one(study([0.5, 0.25, 0.75], a=[d] * 3))
    assert (v.verdict, v.sd, v.effect) == (verdict, 0, d)
    assert v.p == (1.0 if d == 0 else 0.0)
    assert "no spread between seeds" in v.qualifiers


def test_a_missing_seed_on_either_side_drops_the_pair():
    scores = {
        "baseline": {0: 0.5, 1: 0.6, 2: 0.7, 3: None, 5: 0.1},
        "a": {2: 0.8, 0: 0.5, 1: math.nan, 3: 0.4, 4: 0.9},
    }
    v = one(scores)
    assert v.differences == pytest.approx({0: 0.0, 2: 0.1})
    assert v.n == 2
    assert "missing seeds: 4" in v.qualifiers


def test_sign_flip_and_screening_follow_n():
    d = 0.05 + 0.005 * np.sin(np.arange(24))
    by_n = {n: one(study([0.5 + 0.01 * s for s in range(n)], a=d[:n])) for n in (4, 5, 6, 20, 21)}
    assert [by_n[n].p_sign_flip is None for n in (4, 5, 6, 20, 21)] == [True, True, False, False, True]
    assert by_n[6].p_sign_flip == 0.03125
    assert [any("screening" in q for q in by_n[n].qualifiers) for n in (4, 5)] == [True, False]


def test_mistakes_are_named():
    scores = study(frelu=WIGGLE)
    with pytest.raises(UnknownName, match="did you mean 'baseline'"):
        judge(scores, "baselin", smallest_interesting=0.01)
    with pytest.raises(UnknownName, match="did you mean 'frelu'"):
        judge(scores, "baseline", smallest_interesting=0.01, controls=["frelux"])
    with pytest.raises(UnknownName, match="direction"):
        judge(scores, "baseline", smallest_interesting=0.01, direction="up")
    for bad in (0, -1, math.nan, math.inf):
        with pytest.raises(ConfigError, match="smallest_interesting"):
            judge(scores, "baseline", smallest_interesting=bad)
    with pytest.raises(ConfigError, match="alpha"):
        judge(scores, "baseline", smallest_interesting=0.01, alpha=5)
    assert judge(study(), "baseline", smallest_interesting=0.01) == []


differences = st.integers(2, 8).flatmap(
    lambda n: st.lists(
        st.lists(st.integers(-40, 40), min_size=n, max_size=n).map(lambda ds: [d / 1024 for d in ds]),
        min_size=1,
        max_size=4,
    )
)  # multiples of 2^-10: adding them to a score is exact


def scores_of(arms):
    base = [0.5 + 0.0625 * (seed % 3) for seed in range(len(arms[0]))]
    return study(base, **{f"a{k}": ds for k, ds in enumerate(arms)})


@settings(deadline=None)
@given(differences)
def test_flipping_the_sign_mirrors_the_verdict(arms):
    mirror = {"helps": "hurts", "hurts": "helps"}
    up = judge(scores_of(arms), "baseline", smallest_interesting=0.01)
    down = judge(scores_of([[-d for d in ds] for ds in arms]), "baseline", smallest_interesting=0.01)
    flipped = judge(scores_of(arms), "baseline", smallest_interesting=0.01, direction="min")
    for u, d, f in zip(up, down, flipped, strict=True):
        assert d.verdict == f.verdict == mirror.get(u.verdict, u.verdict)
        assert d.qualifiers == f.qualifiers == u.qualifiers
        assert d.interval == pytest.approx((-u.interval[1], -u.interval[0]))
        low, high = u.improvement_interval  # of a run that is better, whatever is good
        assert f.improvement == d.improvement == pytest.approx(1 - u.improvement)
        assert f.improvement_interval == d.improvement_interval == pytest.approx((1 - high, 1 - low))
        better = {"improvement": f.improvement, "improvement_interval": f.improvement_interval}
        assert f == replace(u, verdict=f.verdict, **better)


@settings(deadline=None)
@given(differences, st.randoms(use_true_random=False))
def test_the_order_of_arms_and_seeds_does_not_matter(arms, random):
    scores = scores_of(arms)
    names = list(scores)
    random.shuffle(names)
    seeds = list(scores["baseline"])
    random.shuffle(seeds)
    shuffled = {name: {seed: scores[name][seed] for seed in seeds} for name in names}
    want = {v.arm: v for v in judge(scores, "baseline", smallest_interesting=0.01)}
    got = judge(shuffled, "baseline", smallest_interesting=0.01)
    assert [v.arm for v in got] == [name for name in names if name != "baseline"]
    assert {v.arm: v for v in got} == want


@pytest.mark.parametrize(("n", "arms"), [(3, 1), (3, 6), (5, 6)])
def test_a_null_study_calls_something_at_most_alpha_of_the_time(n, arms):
    noise = np.random.Generator(np.random.Philox(6)).normal(size=(4000, 1 + arms, n))
    compared = compare(noise[:, 1:] - noise[:, :1])
    called = (holm(compared.p) < 0.05).any(axis=1)
    assert called.mean() <= 0.05 + 3 * (0.05 * 0.95 / 4000) ** 0.5
    for index in [*np.flatnonzero(called)[:20], *np.flatnonzero(~called)[:20]]:
        scores = {str(arm): dict(enumerate(row)) for arm, row in enumerate(noise[index])}
        verdicts = judge(scores, "0", smallest_interesting=1e-9)
        assert any(v.verdict in ("helps", "hurts") for v in verdicts) == called[index]


GRID = np.random.Generator(np.random.Philox(8)).normal(0.5, 0.01, size=(7, 4))  # (seeds, arms)
GRID[:, 2:] += np.array([0.004, 0.03])


def of_grid(grid):
    return {name: dict(enumerate(map(float, grid[:, k]))) for k, name in enumerate(["baseline", "a", "b", "c"])}


def test_dunnett_decides_with_pooled_noise_and_says_so():
    verdicts = judge(of_grid(GRID), "baseline", smallest_interesting=0.01, method="dunnett")
    pooled = blocked(GRID)
    half = critical_dunnett(3, 18, 0.05) * pooled.se[0]
    for k, v in enumerate(verdicts):
        assert "assumes equal seed noise in every arm" in v.qualifiers
        assert v.p_dunnett == v.p_adjusted == pytest.approx(float(dunnett_p(pooled.t[k], 3, 18)))
        assert v.simultaneous == pytest.approx((v.effect - half, v.effect + half))
        assert v.sd == pytest.approx(pooled.sd[0])
        assert v.interval[1] - v.effect == pytest.approx(float(critical_t(19, 0.05)) * pooled.se[0])
        assert (
            (v.verdict in ("helps", "hurts"))
            == (v.p_dunnett < 0.05)
            == (v.simultaneous[0] > 0 or v.simultaneous[1] < 0)
        )
    assert [v.verdict for v in verdicts] == ["undecided", "helps", "helps"]
    undecided = next(v for v in verdicts if v.verdict == "undecided")
    assert undecided.fresh_seeds == fresh_seeds(undecided.sd, 19, 0.01, arms=3, method="dunnett")


def test_dunnett_takes_complete_seeds_and_counts_a_crashed_arm():
    scores = of_grid(GRID) | {"crashed": {0: None}}
    scores["a"][2] = math.nan
    del scores["c"][5]
    verdicts = {v.arm: v for v in judge(scores, "baseline", smallest_interesting=0.01, method="dunnett")}
    kept = blocked(GRID[[0, 1, 3, 4, 6]])
    for k, arm in enumerate("abc"):
        v = verdicts[arm]
        assert (v.n, sorted(v.differences)) == (5, [0, 1, 3, 4, 6])
        assert "missing seeds: 2" in v.qualifiers
        assert v.p_dunnett == pytest.approx(float(dunnett_p(kept.t[k], 4, 12)))  # four were asked about
    crashed = verdicts["crashed"]
    assert (crashed.verdict, crashed.n, crashed.p_dunnett) == ("undecided", 0, None)
    assert crashed.simultaneous == (-math.inf, math.inf)


@pytest.mark.parametrize(
    "scores", [{"baseline": {0: 0.1}, "a": {0: 0.2}}, {"baseline": {}, "a": {0: 0.2}}, {"baseline": {0: 1}, "a": {}}]
)
def test_dunnett_with_next_to_nothing(scores):
    v = one(scores, method="dunnett")
    assert (v.verdict, v.p_dunnett, v.interval) == ("undecided", None, (-math.inf, math.inf))


def test_dunnett_with_one_arm_is_the_paired_t():
    scores = {name: of_grid(GRID)[name] for name in ("baseline", "c")}
    pooled, own = one(scores, method="dunnett"), one(scores)
    assert pooled.p_dunnett == pytest.approx(own.p)
    assert pooled.simultaneous == pytest.approx(own.simultaneous)
    assert (pooled.verdict, pooled.n, pooled.p_sign_flip) == (own.verdict, own.n, own.p_sign_flip)


def test_dunnett_wants_one_baseline_and_pairs():
    rungs = {"a": "baseline", "b": "a"}
    with pytest.raises(ConfigError, match="arms compared with a, baseline"):
        judge(of_grid(GRID), rungs, smallest_interesting=0.01, method="dunnett")
    with pytest.raises(ConfigError, match="without common seeds"):
        judge(of_grid(GRID), "baseline", smallest_interesting=0.01, method="dunnett", paired=False)
    with pytest.raises(UnknownName, match="did you mean 'dunnett'"):
        judge(of_grid(GRID), "baseline", smallest_interesting=0.01, method="dunnet")


def test_without_pairs_welch_decides():
    scores = {
        "baseline": {0: 0.50, 1: 0.52, 2: 0.49},
        "a": {7: 0.56, 9: 0.57, 11: 0.55, 12: 0.565},
        "b": {0: None, 1: 0.5, 2: 0.51},
    }
    a, b = judge(scores, "baseline", smallest_interesting=0.01, paired=False)
    wanted = welch([0.56, 0.57, 0.55, 0.565], [0.50, 0.52, 0.49])
    assert (a.verdict, a.n, a.paired, a.pairing, a.p_sign_flip) == ("helps", 3, False, None, None)
    assert a.qualifiers[-2:] == ("not paired by seed", "screening: n < 5")
    assert (a.effect, a.sd, a.p) == pytest.approx((float(wanted.effect), float(wanted.sd), float(wanted.p)))
    assert a.p_holm == pytest.approx(2 * a.p)
    assert np.mean(list(a.differences.values())) == pytest.approx(a.effect)
    assert list(a.differences) == [7, 9, 11, 12]
    assert a.improvement == 1.0
    assert "missing seeds: 1" in b.qualifiers
    assert b.verdict == "undecided"
    assert b.fresh_seeds[0] <= b.fresh_seeds[1]
    (alone,) = judge({"baseline": {0: 0.5}, "a": {}}, "baseline", smallest_interesting=0.01, paired=False)
    assert (alone.verdict, alone.n, alone.differences) == ("undecided", 0, {})


def test_improvement_counts_runs_that_are_better():
    scores = {"baseline": {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0}, "a": {0: 0.9, 1: 0.8, 2: 1.0, 3: 1.1}}
    assert one(scores, direction="min").improvement == 0.625  # lower is better: two, half a tie, and not one
    assert one(scores).improvement == 0.375
    assert one(scores).improvement_interval[0] < 0.05
