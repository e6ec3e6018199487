import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tide_reference import evidence, problem

from ablab.errors import ConfigError, DataError
from ablab.stats import image_weights, population
from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.diagnosis.operating import (
    operate,
    threshold_for_false_positives,
    threshold_for_precision,
)
from ablab.tasks.detection.diagnosis.resampling import Resampling
from ablab.tasks.detection.metrics.meter import DetectionMeter


def made(*scored, images=1, objects=4):
    """Evidence of `objects` objects on the first of so many images; (score, right) each."""
    boxes = np.array([[20 * k, 0, 20 * k + 10, 10] for k in range(objects)], float)
    places, free = [], iter(boxes.tolist())
    for score, right in scored:
        places.append((score, next(free) if right else [0, 50, 5, 55]))
    meter, none = DetectionMeter(("ring",)), np.zeros(objects, bool)
    found = np.array([place for _, place in places], float).reshape(-1, 4)
    labels = np.zeros(objects, int)
    meter.update(
        [Detections(found, np.array([score for score, _ in places], float), np.zeros(len(found), int))],
        [Truth("a", boxes, labels, np.full(objects, 100.0), none, none)],
    )
    for more in range(images - 1):
        nothing = np.zeros((0, 4))
        empty = Detections(nothing, np.zeros(0), np.zeros(0, int))
        meter.update([empty], [Truth(str(more), nothing, labels[:0], np.zeros(0), none[:0], none[:0])])
    return meter.items()


RUN = ((0.9, True), (0.8, False), (0.7, True), (0.6, True), (0.5, False), (0.4, False))


@pytest.mark.parametrize(("precision", "threshold"), [(1.0, 0.9), (0.75, 0.6), (0.6, 0.6), (0.5, 0.6), (0.9, 0.9)])
def test_the_highest_recall_at_a_precision(precision, threshold):
    assert threshold_for_precision(made(*RUN), precision) == threshold


@pytest.mark.parametrize(("per_image", "threshold"), [(0, 0.9), (0.1, 0.6), (0.2, 0.5), (0.3, 0.4), (9, 0.4)])
def test_the_lowest_threshold_with_so_many_false_positives(per_image, threshold):
    assert threshold_for_false_positives(made(*RUN, images=10), per_image) == threshold


def test_equal_scores_are_shown_together():
    items = made((0.9, True), (0.8, True), (0.8, False), (0.8, False), images=10)
    assert threshold_for_precision(items, 0.9) == 0.9
    assert threshold_for_false_positives(items, 0.1) == 0.9
    assert threshold_for_false_positives(items, 0.2) == 0.8


def test_figures_at_a_threshold():
    point = operate(made(*RUN, images=10), 0.6)
    assert (point.precision, point.recall, point.false_positives_per_image) == pytest.approx((3 / 4, 3 / 4, 1 / 10))
    nothing = operate(made(*RUN), 0.95)
    assert math.isnan(nothing.precision)
    assert (nothing.recall, nothing.false_positives_per_image) == (0, 0)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(0, 60))
def test_no_threshold_does_better(seed, wished, twentieths):
    """Against every score that occurs, one by one."""
    precision, per_image = wished / 20, twentieths / 20
    items = evidence(problem(np.random.default_rng(seed), images=5))
    points = [operate(items, score) for score in np.unique(items["detection_score"]).tolist()]
    able = [point for point in points if point.precision >= precision and point.recall > 0]
    if able:
        chosen = operate(items, threshold_for_precision(items, precision))
        assert chosen in able
        assert chosen.recall == max(point.recall for point in able)
    else:
        with pytest.raises(DataError, match="no threshold has a precision"):
            threshold_for_precision(items, precision)
    able = [point.threshold for point in points if point.false_positives_per_image <= per_image]
    if able:
        assert threshold_for_false_positives(items, per_image) == min(able)
    else:
        with pytest.raises(DataError, match="no threshold has at most"):
            threshold_for_false_positives(items, per_image)


def test_intervals_of_shares_are_binomial_s_where_every_image_has_one_object():
    rng = np.random.default_rng(0)
    places = np.where(rng.random(200) < 0.7, 0, 50).tolist()
    cases = [{"truths": [[0, 0, 0, 10, 10]], "found": [[0, 0.9, place, 0, 10, 10]]} for place in places]
    items = evidence({"classes": 1, "images": cases})
    weights = image_weights(items["images"], 400, rng)
    point = operate(items, 0.5, Resampling(weights, lambda v, drawn: population([v], drawn[:, None], 200).images))
    half = 1.972 * math.sqrt(point.recall * (1 - point.recall) / 200)
    for low, high in (point.recall_interval, point.precision_interval, point.false_positives_interval):
        assert (high - low) / 2 == pytest.approx(half, rel=0.12)


def test_what_cannot_be_had_is_said():
    items = made((0.9, False), (0.7, True), images=10)
    with pytest.raises(DataError, match=r"precision of 0\.95: the highest is 0\.5, at 0\.7; ask for less"):
        threshold_for_precision(items, 0.95)
    with pytest.raises(DataError, match=r"at most 0 false positives an image: the best score alone brings 1 on 10"):
        threshold_for_false_positives(items, 0)
    with pytest.raises(DataError, match="there is no detection"):
        threshold_for_precision(made(), 0.5)
    for wrong in (0, 1.1, math.nan):
        with pytest.raises(ConfigError, match="a precision is above 0"):
            threshold_for_precision(items, wrong)
    for wrong in (-0.1, math.nan):
        with pytest.raises(ConfigError, match="0 or more"):
            threshold_for_false_positives(items, wrong)
