"""Anchors by level: by hand, against the assigner that trains, and with anchors ten times too large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ablab.errors import ConfigError
from ablab.tasks.detection.anchors import DEFAULT, best_possible_recall, mean_best_iou
from ablab.tasks.detection.assigners.assignment import Objects
from ablab.tasks.detection.assigners.ratio import RatioAssigner
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.diagnosis.anchors_fit import anchors_fit
from ablab.tasks.detection.diagnosis.labels import Labels
from ablab.tasks.detection.grid import Grid

STRIDES = (8, 16, 32)


def labels(sides: list[tuple[float, float]]) -> Labels:
    """Objects of these sides in pixels of an input of 640, one beside another's corner."""
    boxes = np.array([(20, 20, 20 + w, 20 + h) for w, h in sides], float).reshape(-1, 4)
    none = np.zeros(len(sides), bool)
    image = Annotation("a", Path("a"), 640, 640, boxes, np.arange(len(sides)) % 2, none, none)
    return Labels.of([image], (640, 640))


def test_levels_by_hand() -> None:
    """One square anchor a level, of 10, 50 and 250 pixels: each reaches sides from a quarter of it to four times."""
    anchors = np.array([[[10, 10]], [[50, 50]], [[250, 250]]], float)
    seen = anchors_fit(labels([(2, 2), (12, 12), (30, 30), (50, 50), (9, 300)]), ("cell", "seed"), anchors, STRIDES)
    assert seen.recall == pytest.approx(3 / 5)
    assert [level.reached for level in seen.levels] == pytest.approx([2 / 5, 2 / 5, 0])
    assert [level.alone for level in seen.levels] == pytest.approx([1 / 5, 1 / 5, 0])
    assert [(u.label, u.width, u.height, u.why) for u in seen.unreached] == [
        ("cell", 2, 2, "small"),
        ("cell", 9, 300, "shape"),
    ]
    assert [level.nearest for level in seen.levels] == pytest.approx([2 / 5, 3 / 5, 0])
    assert seen.levels[1].overlap == pytest.approx((0.36 + 1 + 450 / (2500 + 2700 - 450)) / 3)
    assert np.isnan(seen.levels[2].overlap)


@given(st.lists(st.tuples(st.floats(1, 500), st.floats(1, 500)), min_size=1, max_size=12))
def test_reached_is_what_the_assigner_assigns(sides: list[tuple[float, float]]) -> None:
    made = labels(sides)
    fit = anchors_fit(made, ("cell", "seed"), DEFAULT, STRIDES)
    assert fit.recall == pytest.approx(best_possible_recall(made.sides, DEFAULT))
    assert fit.mean_best_iou == pytest.approx(mean_best_iou(made.sides, DEFAULT))
    assert len(fit.unreached) == round((1 - fit.recall) * len(sides))


def test_levels_are_those_that_the_assigner_gives_places_in() -> None:
    sides = [(12.5, 9.0), (45.0, 61.0), (130.0, 20.0), (400.0, 300.0)]
    boxes = torch.tensor([(100, 100, 100 + w, 100 + h) for w, h in sides])
    grid = Grid(STRIDES, ((80, 80), (40, 40), (20, 20)), torch.device("cpu"), torch.tensor(DEFAULT).float())
    none = torch.zeros(4, dtype=torch.long)
    objects = Objects(boxes, none, none)
    assigned = RatioAssigner()(objects, grid, lambda: None)
    fit = anchors_fit(labels(sides), ("cell", "seed"), DEFAULT, STRIDES)
    level = torch.bucketize(assigned.place, torch.tensor(grid.starts), right=True) - 1
    for row in range(3):
        reached = assigned.object[level == row].unique()
        assert fit.levels[row].reached == pytest.approx(len(reached) / 4)


def test_anchors_ten_times_too_large_leave_small_objects_alone() -> None:
    rng = np.random.default_rng(0)
    sides = [tuple(side) for side in np.exp(rng.normal(3.4, 0.5, (200, 2)))]  # around 30 pixels
    good = anchors_fit(labels(sides), ("cell", "seed"), DEFAULT, STRIDES)
    bad = anchors_fit(labels(sides), ("cell", "seed"), 10 * DEFAULT, STRIDES)
    assert good.recall > 0.99
    assert bad.recall < 0.7
    assert {u.why for u in bad.unreached} == {"small"}
    assert bad.mean_best_iou < 0.3 < good.mean_best_iou


def test_refusals() -> None:
    with pytest.raises(ConfigError, match=r"expected positive anchors of shape \(3 strides, A, 2\), got \(2, 3, 2\)"):
        anchors_fit(labels([(5, 5)]), ("cell", "seed"), DEFAULT[:2], STRIDES)
    with pytest.raises(ConfigError, match="1 boxes have no area"):
        anchors_fit(labels([(5, 0)]), ("cell", "seed"), DEFAULT, STRIDES)
    assert np.isnan(anchors_fit(labels([]), ("cell", "seed"), DEFAULT, STRIDES).recall)
