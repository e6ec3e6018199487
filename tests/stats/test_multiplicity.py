"""Holm against hand computation and its definition; Bonferroni's interval against the table's critical t."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablab.stats import compare, critical_t, holm, interval, simultaneous_interval

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def test_holm_by_hand():
    # sorted 0.005 0.01 0.03 0.04 times 4 3 2 1 = 0.02 0.03 0.06 0.04, made increasing 0.02 0.03 0.06 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.04]) == pytest.approx([0.04])


def test_an_unknown_p_stays_unknown_and_counts():
    assert holm([0.01, np.nan, 0.02]) == pytest.approx([0.03, np.nan, 0.04], nan_ok=True)
    assert np.isnan(holm([np.nan])).all()
    assert holm([]).size == 0


@settings(deadline=None)
@given(p_values, st.floats(0.001, 0.5))
def test_holm_rejects_what_the_step_down_rejects(p, alpha):
    rejected = set()
    for step, arm in enumerate(np.argsort(p)):
        if p[arm] * (len(p) - step) > alpha:
            break
        rejected.add(int(arm))
    assert {arm for arm, value in enumerate(holm(p)) if value <= alpha} == rejected


@settings(deadline=None)
@given(p_values, st.randoms(use_true_random=False))
def test_the_order_of_arms_does_not_matter(p, random):
    order = list(range(len(p)))
    random.shuffle(order)
    assert (holm(np.array(p)[order]) == holm(p)[order]).all()


def test_many_families_at_once():
    p = np.random.Generator(np.random.Philox(3)).random((20, 5))
    assert (holm(p) == np.array([holm(row) for row in p])).all()


def test_simultaneous_interval():
    d = compare([0.1, 0.2, 0.6])
    assert simultaneous_interval(d, 0.05, 1) == interval(d, 0.05)
    low, high = simultaneous_interval(d, 0.05, 6)
    assert low + high == pytest.approx(0.6)
    assert critical_t(3, 0.05 / 6) == pytest.approx(10.9, abs=0.05)  # statistics.md, "Many changes"
    assert high == pytest.approx(0.3 + float(critical_t(3, 0.05 / 6)) * np.std([0.1, 0.2, 0.6], ddof=1) / 3**0.5)
