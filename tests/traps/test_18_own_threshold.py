"""Trap 18: each model is read at its own best-F1 threshold, tuned on the split that is reported."""

from __future__ import annotations

import numpy as np
import pytest

from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.metrics.meter import DetectionMeter

BOX = np.array([[0.0, 0.0, 10.0, 10.0]])


def evidence(meter: DetectionMeter, scores_right: list[float], scores_wrong: list[float]) -> dict[str, np.ndarray]:
    """One image a score: a right detection on a truth, or a wrong one where there is none."""
    none, label = np.zeros(1, bool), np.zeros(1, np.int64)
    for i, score in enumerate(scores_right + scores_wrong):
        real = slice(0, 1 if i < len(scores_right) else 0)
        truth = Truth(str(i), BOX[real], label[real], np.full(1, 100.0)[real], none[real], none[real])
        meter.update([Detections(BOX, np.array([score]), label)], [truth])
    return meter.items()


def test_the_threshold_of_validation_is_applied_to_test_unchanged():
    validation = evidence(DetectionMeter(["a"]), [0.9, 0.8], [0.3])
    test = evidence(meter := DetectionMeter(["a"]), [0.9, 0.5, 0.4], [0.7])
    settings = meter.choose(validation)
    chosen = {"threshold": 0.8, "threshold/a": 0.8}
    assert settings == chosen
    honest = meter.score(test, settings)
    assert honest["recall"][0] == pytest.approx(1 / 3)
    assert honest["F1"][0] == pytest.approx(2 * 1 / (1 + 3))
    tuned = meter.score(test, meter.choose(test))
    assert tuned["F1"][0] == pytest.approx(6 / 7), "what the trap would have reported"
    assert settings == chosen, "scoring changes no setting"


def test_scoring_never_chooses():
    """Without a threshold from elsewhere there is no figure at one, rather than one tuned in place."""
    meter = DetectionMeter(["a"])
    scores = meter.score(evidence(meter, [0.9, 0.2], [0.5]), {})
    assert not {"precision", "recall", "F1", "F1_of_means"} & set(scores)


def test_fixed_thresholds_do_not_move():
    meter = DetectionMeter(["a"])
    items = evidence(meter, [0.9, 0.45], [0.42])
    for threshold in (0.1, 0.9):
        scores = meter.score(items, {"threshold": threshold})
        assert scores["F1@0.5"][0] == pytest.approx(2 * 1 / (1 + 2))
        assert scores["F1@0.4"][0] == pytest.approx(2 * 2 / (3 + 2))
