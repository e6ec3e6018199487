"""Factorial designs: published effects and alias tables, and the variance that they buy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from ablab.errors import ConfigError
from ablab.stats import designs
from ablab.stats.designs import Layout, additivity, contrast_noise, effects, layout

RULE = {"smallest_interesting": 1.0}

# Montgomery, Design and Analysis of Experiments: the yield of a chemical process, 2^2 with three replicates.
YIELD = {"base": [28, 25, 27], "a": [36, 32, 32], "b": [18, 19, 23], "ab": [31, 30, 29]}
# The same book: the etch rate of a plasma tool, 2^3 with two replicates.
ETCH = {
    "base": [550, 604], "a": [669, 650], "b": [633, 601], "ab": [642, 635],
    "c": [1037, 1052], "ac": [749, 868], "bc": [1075, 1063], "abc": [729, 860],
}  # fmt: skip


def estimated(data: dict[str, list[int]], factors: int) -> dict[str, designs.Verdict]:
    """Every term of a full factorial, by its letters."""
    scores = {cell: dict(enumerate(map(float, values))) for cell, values in data.items()}
    design = layout(factors)
    terms = [t for size in range(1, factors + 1) for t in itertools.combinations(range(factors), size)]
    contrasts = {letters(term): (design.signs(term), f"not {letters(term)}") for term in terms}
    return {v.arm: v for v in effects(scores, list(data), contrasts, **RULE)}  # type: ignore[arg-type]


def letters(term: designs.Term) -> str:
    return "".join("ABCDEFGH"[factor] for factor in term)


def test_montgomerys_chemical_process() -> None:
    found = estimated(YIELD, 2)
    assert {name: round(v.effect, 2) for name, v in found.items()} == {"A": 8.33, "B": -5.00, "AB": 1.67}


def test_montgomerys_plasma_etching() -> None:
    assert {name: v.effect for name, v in estimated(ETCH, 3).items()} == {
        "A": -101.625, "B": 7.375, "C": 306.125, "AB": -24.875, "AC": -153.625, "BC": -2.125, "ABC": 5.625,
    }  # fmt: skip


def test_each_effect_goes_through_scipys_t_over_seeds_and_one_family_of_holms() -> None:
    """By hand, seed by seed: A = ((a - base) + (ab - b)) / 2."""
    found = estimated(YIELD, 2)
    base, a, b, ab = (np.array(YIELD[cell], dtype=float) for cell in YIELD)
    by_hand = {"A": (a - base + ab - b) / 2, "B": (b - base + ab - a) / 2, "AB": (ab - b - (a - base)) / 2}
    p = {name: scipy_stats.ttest_1samp(d, 0).pvalue for name, d in by_hand.items()}
    for name, d in by_hand.items():
        assert list(found[name].differences.values()) == pytest.approx(d)
        assert found[name].p == pytest.approx(p[name])
    least = min(p, key=lambda name: p[name])
    assert found[least].p_holm == pytest.approx(3 * p[least])
    assert found["A"].against == "not A"


def test_a_seed_that_lacks_a_cell_counts_for_nothing() -> None:
    scores: dict[str, dict[int, float | None]] = {
        cell: dict(enumerate(map(float, values))) for cell, values in YIELD.items()
    }
    scores["ab"][1] = math.nan
    del scores["b"][2]
    (found,) = effects(scores, list(scores), {"A": ([-1, 1, -1, 1], "not A")}, **RULE)  # type: ignore[arg-type]
    assert found.differences == {0: pytest.approx((36 - 28 + 31 - 18) / 2)}
    assert "missing seeds: 2" in found.qualifiers


PUBLISHED = {  # NIST/SEMATECH 5.3.3.4.7 and Montgomery's appendix: defining words, then aliased two-factor interactions
    6: (
        "ABCE BCDF ADEF",
        "AB=CE AC=BE AD=EF AE=BC=DF AF=DE BD=CF BF=CD",
    ),
    7: (
        "ABCE BCDF ADEF ACDG BDEG ABFG CEFG",
        "AB=CE=FG AC=BE=DG AD=CG=EF AE=BC=DF AF=BG=DE AG=BF=CD BD=CF=EG",
    ),
    8: (
        "BCDE ACDF ABEF ABCG ADEG BDFG CEFG ABDH ACEH BCFH DEFH CDGH BEGH AFGH ABCDEFGH",
        "AB=CG=DH=EF AC=BG=DF=EH AD=BH=CF=EG AE=BF=CH=DG AF=BE=CD=GH AG=BC=DE=FH AH=BD=CE=FG",
    ),
}  # fmt: skip


@pytest.mark.parametrize("factors", PUBLISHED)
def test_words_and_alias_sets_are_the_published_ones(factors: int) -> None:
    words, sets = PUBLISHED[factors]
    design = layout(factors)
    assert {letters(word) for word in design.words} == set(words.split())
    assert set(design.words.values()) == {1}
    assert {"=".join(map(letters, each)) for each in design.alias_sets()} == set(sets.split())
    assert (design.resolution, design.estimates_interactions, len(design.cells)) == (4, False, 16)


def test_the_half_of_five_holds_the_baseline_and_aliases_no_two_pairs() -> None:
    design = layout(5)
    assert dict(design.words) == {(0, 1, 2, 3, 4): -1}
    assert (design.resolution, design.estimates_interactions, design.alias_sets()) == (5, True, [])
    assert design.aliases((0, 1)) == [(2, 3, 4)]


@pytest.mark.parametrize("factors", range(2, 9))
def test_every_design_begins_with_the_baseline_and_is_balanced(factors: int) -> None:
    design = layout(factors)
    assert (design.cells[0] == -1).all()
    assert len({tuple(row) for row in design.cells.tolist()}) == len(design.cells) == min(2**factors, 16)
    gram = design.cells.astype(int).T @ design.cells
    assert (gram == len(design.cells) * np.eye(factors)).all()
    assert (design.cells.sum(axis=0) == 0).all()
    assert design.resolution is None or factors > 4


@given(st.integers(2, 8), st.data())
def test_aliased_terms_have_one_contrast_and_others_are_orthogonal(factors: int, data: st.DataObject) -> None:
    design = layout(factors)
    pairs = list(itertools.combinations(range(factors), 2))
    one, other = data.draw(st.sampled_from(pairs)), data.draw(st.sampled_from(pairs))
    product = int(design.signs(one).astype(int) @ design.signs(other))
    aliased = one == other or other in design.aliases(one)
    assert abs(product) == (len(design.cells) if aliased else 0)


@pytest.mark.parametrize("factors", [0, 1, 9])
def test_other_numbers_of_changes_are_refused(factors: int) -> None:
    with pytest.raises(ConfigError, match=f"2 to 8 changes, got {factors}"):
        layout(factors)


@pytest.mark.parametrize("factors", [2, 3, 4])
def test_at_equal_runs_a_main_effect_has_less_variance_than_one_at_a_time(factors: int) -> None:
    """(K + 1) / 2 times less, at N runs in all; blocks shift whole seeds and cancel in both."""
    rng = np.random.default_rng(5)
    design, arms = layout(factors), factors + 1
    studies, runs = 20_000, arms * len(design.cells)
    alone_seeds, cell_seeds = runs // arms, runs // len(design.cells)
    block = rng.normal(size=(studies, alone_seeds, 1)) * 3
    alone = block + rng.normal(size=(studies, alone_seeds, arms))
    single = (alone[..., 1] - alone[..., 0]).mean(axis=1)
    block = rng.normal(size=(studies, cell_seeds, 1)) * 3
    cells = block + rng.normal(size=(studies, cell_seeds, len(design.cells)))
    main = (cells @ design.signs((0,)) * 2 / len(design.cells)).mean(axis=1)
    assert single.var() / main.var() == pytest.approx((factors + 1) / 2, rel=0.05)
    differences = (alone[..., 1] - alone[..., 0]).std(axis=1, ddof=1)
    contrasts = (cells @ design.signs((0,)) * 2 / len(design.cells)).std(axis=1, ddof=1)
    ratio = math.sqrt((contrasts**2).mean() / (differences**2).mean())
    assert ratio == pytest.approx(contrast_noise(len(design.cells)), rel=0.05)


def test_additivity_by_hand() -> None:
    """At seed 0: together 7 - 1, apart (3 - 1) + (4 - 1): one more than the sum. Seed 2 lacks a side."""
    base, a, b, both = {0: 1.0, 1: 2.0, 2: 1.0}, {0: 3.0, 1: 3.0, 2: 9.0}, {0: 4.0, 1: 4.0}, {0: 7.0, 1: 8.0, 2: 0.0}
    found = additivity(both, base, [(a, base), (b, base)])
    assert (found.n, found.predicted.effect, found.measured.effect) == (2, 4.0, 6.0)
    assert found.departure.effect == 2.0
    low, high = scipy_stats.t.interval(0.95, 1, 2.0, scipy_stats.sem([1.0, 3.0]))
    assert found.departure.interval == pytest.approx((low, high))


def test_what_adds_up_departs_by_nothing() -> None:
    rng = np.random.default_rng(1)
    base, gains = rng.normal(size=6), [rng.normal(size=6) for _ in range(3)]
    sides = [dict(enumerate((base + gain).tolist())) for gain in gains]
    whole = dict(enumerate((base + sum(gains)).tolist()))
    found = additivity(
        whole, dict(enumerate(base.tolist())), [(side, dict(enumerate(base.tolist()))) for side in sides]
    )
    assert found.departure.effect == pytest.approx(0, abs=1e-12)
    assert found.predicted.effect == pytest.approx(np.sum(gains, axis=0).mean())


def test_no_common_seed_bounds_nothing() -> None:
    found = additivity({0: 1.0}, {1: 1.0}, [({0: 1.0}, {0: 1.0})])
    assert found.n == 0
    assert math.isnan(found.measured.effect)
    assert found.measured.interval == (-math.inf, math.inf)


def test_a_layout_is_what_its_words_say() -> None:
    design = layout(8)
    assert isinstance(design, Layout)
    for word, sign in design.words.items():
        assert (design.signs(word) == sign).all()
