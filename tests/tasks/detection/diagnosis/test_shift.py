import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tide_reference import evidence, problem

from ablab.errors import DataError
from ablab.stats import image_weights, population
from ablab.tasks.detection.diagnosis.resampling import Resampling
from ablab.tasks.detection.diagnosis.shift import LEVELS, quantiles, score_shift

ITEMS = evidence(problem(np.random.default_rng(5), images=40))


def test_halved_scores_halve_every_quantile_and_leave_the_matches():
    after = ITEMS | {"detection_score": ITEMS["detection_score"] / 2}
    shift = score_shift(ITEMS, after)
    right = ITEMS["detection_truth"] >= 0
    expected = np.quantile(ITEMS["detection_score"][right], LEVELS, method="inverted_cdf")
    np.testing.assert_allclose([q.before for q in shift.quantiles], expected)
    np.testing.assert_allclose([q.shift for q in shift.quantiles], -expected / 2)
    assert shift.found_before == shift.found_after == shift.found_by_both == right.sum()
    assert shift.paired == pytest.approx(-expected[2] / 2, abs=0.02)


def test_the_paired_shift_looks_at_objects_found_by_both():
    """After, the worse half is not found any more: quantiles rise, no object's score does."""
    right = np.flatnonzero(ITEMS["detection_truth"] >= 0)
    lost = right[ITEMS["detection_score"][right] < np.median(ITEMS["detection_score"][right])]
    truth, matched = ITEMS["detection_truth"].copy(), ITEMS["detection_matched"].copy()
    truth[lost], matched[lost] = -1, 0
    shift = score_shift(ITEMS, ITEMS | {"detection_truth": truth, "detection_matched": matched})
    assert shift.paired == 0
    assert shift.found_by_both == shift.found_after == len(right) - len(lost)
    assert all(q.shift > 0 for q in shift.quantiles[:3])


def test_intervals_hold_a_shift_that_is_there():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.02, len(ITEMS["detection_score"]))
    after = ITEMS | {"detection_score": ITEMS["detection_score"] - 0.1 + noise}
    weights = image_weights(ITEMS["images"], 200, rng)
    over = Resampling(weights, lambda value, drawn: population([value], drawn[:, None], 40).images)
    shift = score_shift(ITEMS, after, over)
    low, high = shift.paired_interval
    assert low < -0.1 < high < 0
    assert all(q.interval[0] <= q.shift <= q.interval[1] for q in shift.quantiles)


@given(arrays(float, st.integers(1, 12), elements=st.integers(0, 6)), st.integers(0, 99))
def test_whole_weights_are_so_many_copies(values, seed):
    times = np.random.default_rng(seed).integers(1, 4, len(values))
    expected = np.quantile(np.repeat(values, times), LEVELS, method="inverted_cdf")
    np.testing.assert_array_equal(quantiles(values, times[None].astype(float), LEVELS)[0], expected)


def test_other_data_is_refused_and_nothing_found_is_nan():
    with pytest.raises(DataError, match="differ in 'images'"):
        score_shift(ITEMS, evidence(problem(np.random.default_rng(5), images=30)))
    none = {"detection_truth": np.full_like(ITEMS["detection_truth"], -1)}
    none["detection_matched"] = np.zeros_like(ITEMS["detection_matched"])
    shift = score_shift(ITEMS, ITEMS | none)
    assert math.isnan(shift.quantiles[0].after)
    assert math.isnan(shift.paired)
    assert shift.found_by_both == 0
