"""Trap 17: two evaluators in one project disagree (confidence 0.05 in one, 0.001 in the other: 5 points of AP)."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

import ablab
from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.metrics import coco_figures, settings
from ablab.tasks.detection.metrics.meter import DetectionMeter
from ablab.tasks.detection.recipe import PostprocessRecipe

SOURCE = Path(ablab.__file__).parent


def test_the_detector_and_the_meter_keep_the_same_detections():
    assert PostprocessRecipe().most == settings.MAX_DETECTIONS == 100
    assert inspect.signature(DetectionMeter).parameters["max_detections"].default == settings.MAX_DETECTIONS
    assert PostprocessRecipe().confidence == 0.001


def test_the_meter_drops_nothing_by_score_and_dropping_would_show():
    """Half of the truths are found at a score below 0.05: a second cut would halve AP."""
    box = np.array([[0.0, 0.0, 10.0, 10.0]])
    none = np.zeros(1, bool)

    def ap(least: float) -> float:
        meter = DetectionMeter(["a"])
        for i, score in enumerate([0.9, 0.002] * 5):
            kept = np.full(1, score) >= least
            label = np.zeros(1, np.int64)
            truth = Truth(str(i), box, label, np.full(1, 100.0), none, none)
            meter.update([Detections(box[kept], np.full(1, score)[kept], label[kept])], [truth])
        return float(meter.score(meter.items(), {})["AP"][0])

    assert ap(PostprocessRecipe().confidence) == pytest.approx(1, abs=1e-9)
    assert ap(0.05) == pytest.approx(51 / 101, abs=1e-9)


def test_thresholds_and_areas_are_named_in_one_file():
    """No other file spells COCO's IoU range, its area limits or a matcher of its own."""
    matchers = []
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        numbers = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value == 0.95}
        spelled = any("linspace" in ast.unparse(n) and numbers for n in ast.walk(tree) if isinstance(n, ast.Call))
        if spelled or any(isinstance(n, ast.Name) and n.id == "IOU_THRESHOLDS" for n in ast.walk(tree)):
            matchers.append(path.relative_to(SOURCE).as_posix())
    room = "tasks/detection/metrics"
    assert matchers == [f"{room}/average.py", f"{room}/evidence.py", f"{room}/settings.py"]


def test_the_file_evaluator_is_the_same_meter():
    assert coco_figures.DetectionMeter is DetectionMeter
