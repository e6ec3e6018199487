"""The threshold of each class, against a search over all of its scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.metrics.meter import DetectionMeter

SQUARE = np.array([[0.0, 0.0, 10.0, 10.0]])
CLASSES = ["a", "b", "c"]


def evidence(rows: list[tuple[int, float, bool]], missed: dict[int, int]) -> DetectionMeter:
    """One image a detection (label, score, right), and one for each object of a class that nothing found."""
    meter, no = DetectionMeter(CLASSES), np.zeros(1, bool)
    rows = rows + [(label, -1.0, True) for label, count in missed.items() for _ in range(count)]
    for i, (label, score, right) in enumerate(rows):
        real, found = slice(0, int(right)), slice(0, int(score >= 0))
        labels = np.array([label])
        truth = Truth(str(i), SQUARE[real], labels[real], np.full(1, 100.0)[real], no[real], no[real])
        meter.update([Detections(SQUARE[found], np.array([score])[found], labels[found])], [truth])
    return meter


def searched(rows: list[tuple[int, float, bool]], missed: dict[int, int], label: int) -> float | None:
    """The highest of the scores at which the class's F1 is highest; None where none is right."""
    own = [(score, right) for each, score, right in rows if each == label]
    wanted = sum(right for _, right in own) + missed.get(label, 0)

    def f1(least: float) -> float:
        kept = [right for score, right in own if score >= least]
        return round(2 * sum(kept) / (len(kept) + wanted), 12)

    if not any(right for _, right in own):
        return None
    return max(sorted({score for score, _ in own}), key=lambda least: (f1(least), least))


scores = st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.8, 0.9])  # few, so that many are equal


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2), scores, st.booleans()), max_size=25),
    missed=st.dictionaries(st.integers(0, 2), st.integers(1, 4)),
)
def test_equals_a_search_over_every_score(rows: list[tuple[int, float, bool]], missed: dict[int, int]) -> None:
    meter = evidence(rows, missed) if rows or missed else evidence([(0, 0.5, False)], {})
    chosen = meter.choose(meter.items())
    for label, name in enumerate(CLASSES):
        assert chosen.get(f"threshold/{name}") == searched(rows, missed, label)
    assert set(chosen) <= {"threshold", *(f"threshold/{name}" for name in CLASSES)}


def test_by_hand() -> None:
    """`a` is sure of itself, `b` is right at low scores, `c` is never right."""
    rows = [(0, 0.9, True), (0, 0.8, True), (0, 0.3, False), (1, 0.4, True), (1, 0.2, True), (2, 0.9, False)]
    meter = evidence(rows, {})
    chosen = meter.choose(meter.items())
    assert chosen["threshold/a"] == pytest.approx(0.8)
    assert chosen["threshold/b"] == pytest.approx(0.2)
    assert "threshold/c" not in chosen


def test_figures_are_still_taken_at_the_one_threshold() -> None:
    rows = [(0, 0.9, True), (0, 0.3, False), (1, 0.4, True), (1, 0.2, True)]
    meter = evidence(rows, {})
    items, chosen = meter.items(), meter.choose(meter.items())
    alone = meter.score(items, {"threshold": chosen["threshold"]})
    for name, value in meter.score(items, chosen).items():
        np.testing.assert_array_equal(alone[name], value)
    assert meter.curves(items, chosen)["chosen"] == chosen["threshold"]
