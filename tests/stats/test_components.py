"""Components of variance against a table worked by hand, a simulation, and limiting cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ablab.stats import components


def test_a_table_worked_by_hand() -> None:
    """Arms 10, 14, 12 and seeds -1, 1 on top, rest 0, except one cell 3 higher.

    arms    seed 0  seed 1      means  grand mean 12.5
    a            9      11      10
    b           13      15      14     SS(arm)  = 2 (2.5^2 + 1.5^2 + 1^2) = 19        MS = 9.5
    c           11      16      13.5   SS(seed) = 3 (1.5^2 + 1.5^2)       = 13.5      MS = 13.5
                11      14             SS(total) = 3.5^2 + 1.5^2 + .5^2 + 2.5^2 + 1.5^2 + 3.5^2 = 35.5, SS(rest) = 3
    """
    parts = components({"a": {0: 9, 1: 11}, "b": {0: 13, 1: 15}, "c": {0: 11, 1: 16}})
    assert parts is not None
    assert (parts.arms, parts.seeds) == (3, 2)
    assert parts.of_rest == pytest.approx(math.sqrt(1.5))
    assert parts.of_arms == pytest.approx(math.sqrt((9.5 - 1.5) / 2))
    assert parts.of_seeds == pytest.approx(math.sqrt((13.5 - 1.5) / 3))
    assert parts.p == pytest.approx(stats.f.sf(9.5 / 1.5, 2, 2))


def test_a_simulation_gives_back_what_was_put_in() -> None:
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(400):
        y = rng.normal(0, 2, (6, 1)) + rng.normal(0, 1, (1, 8)) + rng.normal(0, 0.5, (6, 8))
        parts = components({str(arm): dict(enumerate(row.tolist())) for arm, row in enumerate(y)})
        assert parts is not None
        seen.append((parts.of_arms**2, parts.of_seeds**2, parts.of_rest**2))
    assert np.mean(seen, axis=0) == pytest.approx([4, 1, 0.25], rel=0.1)


def test_only_shared_seeds_and_finite_scores_count() -> None:
    parts = components({"a": {0: 1.0, 1: 2.0, 2: 9.0}, "b": {0: 2.0, 1: 3.0, 3: 5.0, 2: math.nan}})
    assert parts is not None
    assert parts.seeds == 2
    assert parts.of_rest == 0  # the arms differ by exactly one at both
    assert parts.p == 0
    assert components({"a": {0: 1.0, 1: 2.0}}) is None
    assert components({"a": {0: 1.0}, "b": {0: 2.0}}) is None
    assert components({}) is None


def test_equal_arms_have_no_spread() -> None:
    parts = components({"a": {0: 1.0, 1: 2.0}, "b": {0: 1.0, 1: 2.0}})
    assert parts is not None
    assert parts.of_arms == 0
    assert parts.p == 1
