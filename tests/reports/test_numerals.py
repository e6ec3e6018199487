import math

import pytest

from ablab.reports import numerals


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (numerals.score, 0.5124, "0.512"),
        (numerals.score, -0.0126, "−0.013"),
        (numerals.signed, 0.0309, "+0.031"),
        (numerals.signed, -0.5, "−0.500"),
        (numerals.p_value, 0.0123, "0.012"),
        (numerals.p_value, 0.00099, "< 0.001"),
        (numerals.p_value, 0.001, "0.001"),
        (numerals.amount, 930, "930"),
        (numerals.amount, 999_400, "999 k"),
        (numerals.amount, 999_600, "1.00 M"),
        (numerals.amount, 1_872_157, "1.87 M"),
        (numerals.amount, 7_235_389, "7.24 M"),
        (numerals.amount, 16_500_000_000, "16.5 G"),
        (numerals.milliseconds, 12.345, "12.3"),
        (numerals.megabytes, 1180.4, "1180"),
        (numerals.duration, 42.4, "42 s"),
        (numerals.duration, 59.6, "1 min 00 s"),
        (numerals.duration, 72, "1 min 12 s"),
        (numerals.duration, 3840, "1 h 04 min"),
    ],
)
def test_forms(form, value, text):
    assert form(value) == text


@pytest.mark.parametrize(
    "form",
    [
        numerals.score,
        numerals.signed,
        numerals.p_value,
        numerals.amount,
        numerals.milliseconds,
        numerals.megabytes,
        numerals.duration,
    ],
)
@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_not_known_is_a_dash(form, value):
    assert form(value) == "–"


def test_interval():
    assert numerals.interval((-0.0124, 0.0741)) == "[−0.012, +0.074]"
    assert numerals.interval((-math.inf, math.inf)) == "–"


@pytest.mark.parametrize(
    ("new", "old", "text"),
    [(112, 100, "+12%"), (97, 100, "−3.0%"), (100, 100, ""), (None, 100, ""), (5, None, ""), (5, 0, "")],
)
def test_change(new, old, text):
    assert numerals.change(new, old) == text


@pytest.mark.parametrize(("words", "text"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
def test_listing(words, text):
    assert numerals.listing(words) == text
