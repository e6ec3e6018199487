"""Keyed streams: a draw depends on its key alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ablab.streams import stream, torch_seed

KEYS = st.lists(st.one_of(st.text(max_size=8), st.integers(0, 1000)), min_size=1, max_size=4)


@given(KEYS)
def test_equal_keys_give_equal_draws(key: list[str | int]) -> None:
    assert np.array_equal(stream(*key).random(5), stream(*key).random(5))
    assert 0 <= torch_seed(*key) < 2**63


@given(KEYS, KEYS)
def test_distinct_keys_give_distinct_draws(one: list[str | int], other: list[str | int]) -> None:
    same = one == other and [type(x) for x in one] == [type(x) for x in other]
    assert (stream(*one).random() == stream(*other).random()) == same


def test_parts_of_a_key_do_not_run_together() -> None:
    assert torch_seed("a", "bc") != torch_seed("ab", "c")
    assert torch_seed("a", 1) != torch_seed("a", "1")


def test_draws_are_uniform() -> None:
    first = np.array([stream("order", "study", seed, 0).random() for seed in range(2000)])
    assert abs(first.mean() - 0.5) < 4 * (1 / 12 / 2000) ** 0.5
