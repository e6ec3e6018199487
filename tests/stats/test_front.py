"""The front by hand, and its probabilities against the paired t's p and at limiting cases."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from ablab.errors import ConfigError
from ablab.stats import front_probability, on_front

BASE = np.array([0.50, 0.53, 0.48, 0.51, 0.55])


def normals(key, *size):
    return np.random.Generator(np.random.Philox(key)).normal(size=size)


def seeded(**arms):
    return {arm: dict(enumerate(map(float, scores))) for arm, scores in arms.items()}


def test_the_front_by_hand():
    #            a    b    c: dearer and no better   d: dear and best   e: as dear as d, worse
    costs = [1.0, 2.0, 3.0, 4.0, 4.0]
    assert on_front([0.3, 0.4, 0.4, 0.6, 0.5], costs).tolist() == [True, True, False, True, False]
    assert on_front([0.5, 0.5], [1, 1]).tolist() == [True, True]  # alike
    assert on_front([[0.1, 0.2], [0.2, 0.1]], [1, 2]).tolist() == [[True, True], [True, False]]


points = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=7)


@settings(deadline=None)
@given(points)
def test_the_front_is_its_definition(arms):
    scores, costs = zip(*arms, strict=True)
    wanted = [
        not any(c <= cost and s >= score and (c, s) != (cost, score) for s, c in arms)
        for score, cost in zip(scores, costs, strict=True)
    ]
    assert on_front(scores, costs).tolist() == wanted
    assert any(wanted)


def test_dominated_by_a_mile_and_alone_at_its_cost():
    scores = seeded(cheap=BASE, dear=BASE - 0.3 + 0.001 * np.arange(5))
    assert front_probability(scores, {"cheap": 1, "dear": 2}) == {"cheap": 1.0, "dear": 0.0}
    assert front_probability(scores, {"cheap": 2, "dear": 1}) == {"cheap": 1.0, "dear": 1.0}  # the cheapest stays
    assert front_probability(seeded(alone=BASE), {"alone": 9}) == {"alone": 1.0}


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_of_two_at_one_cost_the_better_ones_share_is_the_paired_ts(n):
    a, b = normals(n, 2, n)
    a = a + 0.5
    p = reference.ttest_rel(a, b, alternative="greater").pvalue
    found = front_probability(seeded(a=a, b=b), {"a": 1, "b": 1}, draws=100_000)
    assert found["a"] == pytest.approx(1 - p, abs=0.008)  # 5 standard errors
    assert found["a"] + found["b"] == pytest.approx(1)
    flipped = front_probability(seeded(a=a, b=b), {"a": 1, "b": 1}, draws=100_000, direction="min")
    assert flipped["a"] == pytest.approx(p, abs=0.008)


def test_a_a_at_equal_cost_is_half_on_average_and_spread_evenly():
    """Over A/A studies the probability is uniform: it is sure at 95% one time in twenty, not more."""
    found = []
    for study, (a, b) in enumerate(normals(1, 600, 2, 3)):
        found.append(front_probability(seeded(a=a, b=b), {"a": 1, "b": 1}, draws=2000, seed=study)["a"])
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)
    assert np.mean(np.array(found) > 0.95) <= 0.05 + 4 * (0.05 * 0.95 / 600) ** 0.5
    assert reference.kstest(found, "uniform").pvalue > 1e-3


def test_more_arms_than_seeds():
    noise = 0.01 * normals(2, 6, 3)
    arms = {f"a{k}": 0.5 + 0.1 * k + noise[k] for k in range(6)}
    up = front_probability(seeded(**arms), {f"a{k}": k for k in range(6)})
    assert min(up.values()) > 0.9  # each buys something
    down = front_probability(seeded(**arms), {f"a{k}": -k for k in range(6)})
    assert down["a5"] == 1.0
    assert max(down[f"a{k}"] for k in range(5)) < 0.1


def test_the_same_question_has_the_same_answer_whatever_the_unit():
    scores = seeded(a=BASE, b=BASE[::-1] + 0.01)
    once = front_probability(scores, {"a": 1.0, "b": 1.5})
    assert once == front_probability(scores, {"a": 1e9, "b": 1.5e9})


def test_what_is_missing():
    scores = seeded(a=BASE, b=BASE + 0.1) | {"crashed": {}, "lost": {0: None, 1: math.nan}}
    found = front_probability(scores, dict.fromkeys(scores, 1.0))
    assert math.isnan(found["crashed"])
    assert math.isnan(found["lost"])
    assert (found["a"], found["b"]) == (0.0, 1.0)
    one = front_probability({"a": {0: 0.5, 1: 0.6}, "b": {1: 0.7}}, {"a": 1, "b": 1})
    assert all(math.isnan(p) for p in one.values())
    assert front_probability({}, {}) == {}
    with pytest.raises(ConfigError, match="'b' has None"):
        front_probability(scores, {"a": 1.0})
