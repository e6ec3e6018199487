"""Fields that may be missing, numbers in words, and proposals."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ablab.reports.diagnosis import advice, fields
from ablab.reports.diagnosis.block import cut, worded
from ablab.reports.grids import Grid

KEYS = st.sampled_from(["a", "b", 0, 1])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner),
    max_leaves=8,
)
READ = [
    fields.number, fields.text, fields.items, fields.rows, fields.table, fields.numbers, fields.pair, fields.pairs,
    fields.count, fields.share, fields.plain, fields.span,
]  # fmt: skip


@given(JSON, st.lists(KEYS, max_size=3))
def test_nothing_raises_whatever_stands_there(value, path):
    for read in READ:
        read(value, *path)


def test_what_is_there_is_found():
    value = {"a": [1, {"b": 2.5}], "n": [1, None, 3]}
    assert fields.number(value, "a", 1, "b") == 2.5
    assert fields.rows(value, "a") == [{"b": 2.5}]
    assert fields.numbers(value, "n")[::2] == [1, 3]
    assert fields.pair(value, "n") is None
    assert fields.pair([0, 1]) == (0, 1)


@pytest.mark.parametrize("value", [None, True, "3", float("nan"), float("inf"), [1]])
def test_what_is_no_number_is_none(value):
    assert fields.number(value) is None
    assert fields.plain(value) == fields.count(value) == fields.share(value) == "–"


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0%"), (0.004, "0.4%"), (0.0949, "9.5%"), (0.12, "12%"), (1, "100%"), (-0.05, "−5.0%")]
)
def test_a_share(value, text):
    assert fields.share(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(3, "3"), (1200, "1,200"), (0.00312, "0.00312"), (2.5e6, "2.5e+06"), (-0.5, "−0.5")]
)
def test_a_number_of_any_size(value, text):
    assert fields.plain(value) == text


def test_a_long_table_is_cut_and_folded():
    rows = [(str(number), ["x"]) for number in range(5)]
    shown, more = cut(["n", "x"], rows, 3)
    assert len(shown[0].rows) == 3
    assert [(title, len(grid.rows)) for title, grid in more] == [("All 5", 5)]
    assert cut(["n", "x"], rows, 5)[1] == []
    assert cut(["n", "x"], [], 5) == ([], [])


def test_columns_of_words_are_told_from_numbers():
    assert worded(Grid(["", "a", "b"], [("x", ["–", "0.3"]), ("y", ["cell", "≥ 3"])])) == [True, False]


def test_a_change_is_a_study_entry():
    proposal = {"name": "x", "because": "a: b", "set": {"optimizer.lr": 0.01}, "edits": [{"op": "remove", "of": "y"}]}
    assert yaml.safe_load(advice.as_yaml(proposal)) == [proposal]
    assert advice.as_yaml({"name": "x", "todo": "look"}) == ""


def test_costs_are_changes_of_what_the_run_costs():
    assert advice.cost({"cost": {"parameters": 1.0, "latency_ms": 0.5}}) == "latency −50%"
    assert advice.cost({"cost": {"parameters": 1.0}}) == "nothing"
    assert advice.cost({"cost": None}) == ""


def test_a_gain_is_a_bound():
    assert advice.gain({"gain": 0.0312, "metric": "AP50"}) == "at most +0.031 AP50"
    assert advice.gain({"gain": None}) == ""
