"""The labels after correction, and the AP50 that it wins back."""

from __future__ import annotations

import numpy as np
import pytest

from ablab.errors import DataError
from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.diagnosis.correction import corrected, explained
from ablab.tasks.detection.diagnosis.data import read_suspicion
from ablab.tasks.detection.diagnosis.suspicion import Suspect, suspects
from ablab.tasks.detection.metrics.meter import DetectionMeter
from planted import CLASSES, plant


def ap50(items: dict[str, np.ndarray]) -> float:
    return float(DetectionMeter(CLASSES).score(items, {}, only=["AP50"])["AP50"][0])


@pytest.mark.parametrize("fault", ["missing", "class", "place", "spurious"])
def test_the_top_of_the_list_wins_back_what_the_fault_cost(fault: str) -> None:
    """With as many corrections as faults, most of the loss is gone; the clean labels' AP50 is known."""
    planted = plant(2, fault, images=100)
    before, clean = ap50(planted.items), ap50(planted.clean)
    assert before < clean - 0.04
    ranked = suspects(planted.items, "validation")
    faults = len(planted.wrong) or len(planted.removed)
    again, (top, *_) = explained(planted.items, ranked, tops=[faults])
    assert again == pytest.approx(before, abs=1e-4)  # matched again, from float32 boxes
    assert top.top == faults
    assert top.ap50 - before > 0.6 * (clean - before)
    assert top.share == pytest.approx((top.ap50 - before) / (1 - before))


def test_each_correction_by_hand() -> None:
    none = np.zeros(4, bool)
    boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10.0]])
    meter = DetectionMeter(CLASSES)
    truth = Truth("a", boxes, np.array([0, 0, 1, 1]), np.full(4, 100.0), none, none, group="slide 3")
    nothing = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    other = Truth("b", np.zeros((0, 4)), np.zeros(0, int), np.zeros(0), none[:0], none[:0])
    meter.update([nothing, nothing], [truth, other])

    def suspect(
        kind: str, image: str, truth: int, seen: str | None = None, box: tuple[float, ...] | None = None
    ) -> Suspect:
        return Suspect(kind, 0.9, image, None, None, seen, box, 0.9, 0.0, truth, -1)

    changes = [
        suspect("class", "a", 0, "grain", (0, 0, 10, 10)),
        suspect("place", "a", 1, "cell", (22, 0, 34, 10)),
        suspect("spurious", "a", 2),
        suspect("missing", "b", -1, "seed", (5, 5, 9, 10)),
    ]
    first, second = corrected(meter.items(), changes)
    np.testing.assert_array_equal(first.boxes, [[0, 0, 10, 10], [22, 0, 34, 10], [60, 0, 70, 10]])
    assert first.labels.tolist() == [2, 0, 1]
    assert first.area.tolist() == [100, 120, 100]
    assert first.group == "slide 3"
    assert (second.image, second.boxes.tolist(), second.labels.tolist()) == ("b", [[5, 5, 9, 10]], [1])
    assert second.area.tolist() == [20]


def test_a_spotless_detector_leaves_nothing_to_explain() -> None:
    meter = DetectionMeter(CLASSES)
    box, one = np.array([[0, 0, 10, 10.0]]), np.zeros(1, int)
    truth = Truth("a", box, one, np.full(1, 100.0), np.zeros(1, bool), np.zeros(1, bool))
    meter.update([Detections(box, np.full(1, 0.9), one)], [truth])
    before, rows = explained(meter.items(), suspects(meter.items(), "validation"))
    assert before == pytest.approx(1)
    assert rows == ()


def test_the_reading_holds_all_of_it() -> None:
    planted = plant(3, "class")
    seen = read_suspicion(planted.items, "validation")
    assert [row.top for row in seen.explained] == [10, 30, len(seen.ranked)]
    assert seen.labels == len(planted.items["truth_label"])
    assert seen.ap50 == pytest.approx(ap50(planted.items), abs=1e-4)
    gains = [row.ap50 for row in seen.explained]
    assert gains == sorted(gains)


def test_evidence_without_labels_is_refused() -> None:
    meter = DetectionMeter(CLASSES)
    none = np.zeros(0, bool)
    truth = Truth("a", np.zeros((0, 4)), np.zeros(0, int), np.zeros(0), none, none)
    meter.update([Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))], [truth])
    with pytest.raises(DataError, match="no label that counts"):
        read_suspicion(meter.items(), "validation")
