"""Agreement: hand-made answers, Wilson's published interval, and faults planted into drawn labels."""

from __future__ import annotations

import numpy as np
import pytest

from ablab.errors import DataError
from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.diagnosis.agreement import LEAST_ASKED, agreement, at_least
from ablab.tasks.detection.diagnosis.data_faults import DOUBTS
from ablab.tasks.detection.metrics.meter import DetectionMeter
from planted import CLASSES, plant

USUAL = {answer: usual for answer, usual, _ in DOUBTS}


def test_each_answer_by_hand() -> None:
    """Eight labels of 10 x 10; the four surest detections of the only class are asked, one of each answer."""
    corners = np.arange(8) * 20.0
    boxes = np.stack([corners, np.zeros(8), corners + 10, np.full(8, 10.0)], axis=1)
    none = np.zeros(8, bool)
    meter = DetectionMeter(("a", "b"))
    found = np.array([boxes[0], boxes[7], boxes[1] + [5, 0, 5, 0], [300, 300, 310, 310], boxes[2]])  # IoU 1, 1, 1/3
    labels = np.array([0] * 7 + [1])
    meter.update(
        [Detections(found, np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.zeros(5, int))],
        [Truth("i", boxes, labels, np.full(8, 100.0), none, none)],
    )
    seen = agreement(meter.items(), "validation")
    assert seen.asked == 3  # half of the seven labels of `a`, and none of one of `b`
    assert seen.shares == pytest.approx(
        {"agreed": 1 / 3, "misnamed": 1 / 3, "misplaced": 1 / 3, "loose": 0, "unlabelled": 0}
    )
    assert seen.overlap == pytest.approx((1 + 1 / 3) / 2)
    assert not seen.trusted
    without = agreement(meter.items(), "validation", ["b"])
    assert without.asked == 2
    assert without.shares["misnamed"] == 0


def test_a_box_of_another_size_is_loose_and_held_against_no_label() -> None:
    meter = DetectionMeter(("a",))
    boxes, none = np.array([[0, 0, 10, 10], [100, 0, 110, 10.0]]), np.zeros(2, bool)
    found = Detections(np.array([[0, 0, 16, 16.0]]), np.array([0.9]), np.zeros(1, int))  # IoU 0.39, 1.6 times
    meter.update([found], [Truth("i", boxes, np.zeros(2, int), np.full(2, 100.0), none, none)])
    assert agreement(meter.items(), "validation").shares["loose"] == 1


def test_wilson_as_published() -> None:
    """Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263 at z = 1.96 is 0.2553 to 0.3662."""
    assert at_least(81, 263, 1.959964) == pytest.approx(0.2553, abs=5e-5)
    assert at_least(0, 20, 1.959964) == 0
    assert np.isnan(at_least(0, 0))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("fault", "answer"), [("class", "misnamed"), ("place", "misplaced"), ("missing", "unlabelled")]
)
def test_a_planted_fault_is_above_what_is_usual_and_no_other_is(fault: str, answer: str, seed: int) -> None:
    seen = agreement(plant(seed, fault, share=0.15, images=150).items, "validation")
    assert seen.trusted
    assert {name for name, usual in USUAL.items() if seen.at_least[name] > usual} == {answer}


@pytest.mark.parametrize("seed", range(3))
def test_clean_labels_are_below_what_is_usual(seed: int) -> None:
    seen = agreement(plant(seed, images=150).items, "validation")
    assert seen.asked >= LEAST_ASKED
    assert all(seen.at_least[name] <= usual for name, usual in USUAL.items())


def test_a_poor_detector_is_not_trusted() -> None:
    assert not agreement(plant(0, spread=0.2).items, "validation").trusted


def test_train_is_refused_and_unknown_classes_are_not_asked() -> None:
    items = plant(0).items
    with pytest.raises(DataError, match="repeats their faults"):
        agreement(items, "train")
    assert agreement(items, "test", CLASSES).asked == 0
