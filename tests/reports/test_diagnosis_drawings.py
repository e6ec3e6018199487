"""Drawings of a diagnosis at the ends of what they may be given."""

import math

import pytest

from ablab.reports.diagnosis.bars import Bar, Field, Spread, bars, sizes
from ablab.reports.diagnosis.lines import columns, lines, reliability


def words(drawing):
    return [part.split(">", 1)[1].split("<")[0] for part in drawing.svg.split("<text")[1:]]


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [-0.1, 0.2], [-0.3], [1e-9, 1e9]])
def test_bars_of_any_length(values):
    rows = [Bar(f"n{at}", value, (value - 0.1, value + 0.1), f"v{at}") for at, value in enumerate(values)]
    drawn = bars(rows, "how much", "b", "says")
    assert {"n0", "v0", "how much"} <= {*words(drawn)}
    assert drawn.alt.startswith("says: n0 v0")


def test_a_bar_is_as_long_as_its_share():
    """Both end where the axis says: a bar of half the value is half as long."""
    drawn = bars([Bar("a", 2.0), Bar("b", 1.0)], "x", "b", "says")
    paths = [part.split('"')[0] for part in drawn.svg.split('<path d="')[1:]]
    spans = [[float(word) for word in path.split()[1::3]] for path in paths if path.count("L") == 3]
    long, short = (max(each) - min(each) for each in spans[-2:])
    assert short > 0
    assert long == pytest.approx(2 * short, rel=0.01)


@pytest.mark.parametrize("sides", [(0.0, None), (None, None), (64.0, 0.0), (1e5, 3.0)])
def test_fields_that_are_not_known_are_left_out(sides):
    rows = [Spread("objects", (0.0, 30.0), (8.0, 20.0), 12.0), Field("map", *sides, "beside")]
    assert {"objects", "map", "beside"} <= {*words(sizes(rows, [], "s", "says"))}


def test_a_field_alone_and_without_a_size():
    assert "map" in words(sizes([Field("map", None, None)], [("8", 8.0)], "s", "says"))


def test_lines_want_two_points():
    assert lines([1, 2], {"loss": [1.0, math.nan]}, "epoch", "l") is None
    assert lines([1, 2], {"loss": [1.0, -1.0]}, "epoch", "l", log=True) is None
    assert lines([1, 2], {"loss": []}, "epoch", "l") is None


@pytest.mark.parametrize("log", [False, True])
def test_lines_that_are_flat_or_many_are_named(log):
    flat = {f"term {number}": [1.0, 1.0, 1.0] for number in range(9)}
    drawn = lines([1, 2, 3], flat, "epoch", "l", log=log)
    assert {*flat} <= {*words(drawn)}
    assert "$" not in drawn.svg.replace("url(#", "")


def test_reliability_and_columns_of_little():
    assert "score" in words(reliability([(0.5, 0.5, 0.0, None), (0.9, 1.0, 3.0, (0.8, 1.0))], "r"))
    assert "objects" in words(columns([(0.0, 1.0), (400.0, 2.0)], "objects", "c", "train"))
