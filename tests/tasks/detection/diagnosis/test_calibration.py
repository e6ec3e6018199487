import math

import numpy as np
import pytest

from ablab.errors import DataError
from ablab.stats import image_weights, population
from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.diagnosis.calibration import calibration
from ablab.tasks.detection.diagnosis.resampling import Resampling
from ablab.tasks.detection.metrics.meter import DetectionMeter


def made(scores, right, images=50):
    """Evidence in which detection i is right or not, spread over images: each right one has an object of its own."""
    meter = DetectionMeter(("ring",))
    for image in range(images):
        mine = np.arange(image, len(scores), images)
        mine = mine[np.argsort(-scores[mine], kind="stable")]
        boxes = np.array([[20 * k, 0, 20 * k + 10, 10] for k in range(len(mine))], float).reshape(-1, 4)
        truths = boxes[right[mine]]
        none, label = np.zeros(len(truths), bool), np.zeros(len(truths), int)
        meter.update(
            [Detections(boxes, scores[mine], np.zeros(len(mine), int))],
            [Truth(str(image), truths, label, np.full(len(truths), 100.0), none, none)],
        )
    return meter.items()


def drawn(rng, count, truth=lambda score: score):
    scores = rng.beta(1.5, 1.5, count)
    return scores, rng.random(count) < truth(scores)


def test_bins_and_error_by_hand():
    """Two bins: 0.2 and 0.4 of which one is right (0.3 said, 0.5 true), 0.9 and 0.7 of which none is (0.8 said)."""
    items = made(np.array([0.2, 0.4, 0.9, 0.7]), np.array([False, True, False, False]), images=2)
    read = calibration(items, 0.0, bins=2)
    assert [(b.low, b.high, b.count) for b in read.bins] == [(0, 0.5, 2), (0.5, 1, 2)]
    assert [(b.score, b.precision) for b in read.bins] == [pytest.approx((0.3, 0.5)), pytest.approx((0.8, 0))]
    assert (read.score, read.precision, read.gap) == pytest.approx((0.55, 0.25, 0.3))
    assert read.ece == pytest.approx(0.5 * 0.2 + 0.5 * 0.8)
    expected = (math.sqrt(0.2 * 0.8 + 0.4 * 0.6) + math.sqrt(0.9 * 0.1 + 0.7 * 0.3)) * math.sqrt(2 / math.pi) / 4
    assert read.by_chance == pytest.approx(expected)
    assert calibration(items, 0.5, bins=2).detections == 2


def test_scikit_learn_agrees_on_the_curve():
    curve = pytest.importorskip("sklearn.calibration").calibration_curve
    scores, right = drawn(np.random.default_rng(1), 500)
    read = calibration(made(scores, right), 0.0, bins=10)
    precision, mean = curve(right, scores, n_bins=10)
    filled = [b for b in read.bins if b.count]
    np.testing.assert_allclose([b.precision for b in filled], precision)
    np.testing.assert_allclose([b.score for b in filled], mean)


def test_perfect_scores_show_the_error_that_chance_brings():
    """A simulation: the mean D-ECE of perfect scores is its bias, and the gap has none."""
    rng = np.random.default_rng(2)
    reads = [calibration(made(*drawn(rng, 400), images=4), 0.0) for _ in range(60)]
    assert np.mean([read.ece for read in reads]) == pytest.approx(np.mean([read.by_chance for read in reads]), rel=0.05)
    assert np.mean([read.by_chance for read in reads]) > 0.05
    assert abs(np.mean([read.gap for read in reads])) < 0.01


def test_too_sure_a_detector_is_told_with_an_interval():
    rng = np.random.default_rng(3)
    items = made(*drawn(rng, 1500, lambda score: 0.7 * score), images=100)
    weights = image_weights(items["images"], 200, rng)
    over = Resampling(weights, lambda value, drawn: population([value], drawn[:, None], 100).images)
    read = calibration(items, 0.0, over)
    low, high = read.gap_interval
    assert 0 < low < 0.15 < high  # 0.3 of a mean score of 0.5
    assert high - low == pytest.approx(2 * 1.98 * math.sqrt(0.19 / 1500), rel=0.25)  # p (1 - p) within scores, about
    assert read.ece > 3 * read.by_chance
    assert all(b.interval[0] <= b.precision <= b.interval[1] for b in read.bins if b.count > 10)


def test_nothing_to_calibrate_and_scores_that_are_none():
    items = made(np.array([0.2]), np.array([True]), images=1)
    empty = calibration(items, 0.5)
    assert empty.detections == 0
    assert math.isnan(empty.ece)
    assert math.isnan(empty.gap)
    items["detection_score"] = np.array([1.5])
    with pytest.raises(DataError, match=r"from 1\.5 to 1\.5"):
        calibration(items, 0.5)
