"""Boxes against ink that is counted anew, pixel by pixel, and the shares that the data set promises."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou

from ablab.streams import stream
from ablab.tasks.detection.formats.photo_digits import layout as layouts
from ablab.tasks.detection.formats.photo_digits.layout import Layout, Shape, lay_out, overlaps


def on_page(shape: Shape, size: int) -> np.ndarray:
    """A shape's ink in a scene, on a page with a margin that nothing leaves.  -> (size, size) bool"""
    margin = 3 * size
    page = np.zeros((size + 2 * margin, size + 2 * margin), bool)
    h, w = shape.opacity.shape
    page[margin + shape.y : margin + shape.y + h, margin + shape.x : margin + shape.x + w] = shape.opacity >= 0.5
    return page[margin:-margin, margin:-margin]


def expected_boxes(layout: Layout, size: int) -> list[list[float]]:
    """Boxes as the docstring of the module defines them, the slow way."""
    boxes = []
    for k, digit in enumerate(layout.digits):
        seen = on_page(digit, size)
        for above in (*layout.digits[k + 1 :], *layout.occluders):
            seen &= ~on_page(above, size)
        if seen.sum() >= 0.4 * (digit.opacity >= 0.5).sum():
            rows, columns = np.nonzero(seen)
            boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return boxes


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 10), st.integers(64, 200))
def test_boxes_are_tight_on_visible_ink(glyphs: np.ndarray, seed: int, classes: int, size: int) -> None:
    layout = lay_out(glyphs, classes, size, stream("test", seed))
    assert layout.boxes.tolist() == expected_boxes(layout, size)
    assert layout.boxes.shape == (len(layout.labels), 4)
    assert len(layout.digits) <= 8
    assert ((layout.labels >= 0) & (layout.labels < classes)).all()


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(64, 200))
def test_no_two_boxes_are_much_alike(glyphs: np.ndarray, seed: int, size: int) -> None:
    boxes = torch.from_numpy(lay_out(glyphs, 10, size, stream("test", seed)).boxes)
    iou = box_iou(boxes, boxes).triu(1)
    assert (iou <= 0.5).all()
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    assert (boxes >= 0).all()
    assert (boxes <= size).all()


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 4), min_size=1, max_size=8))
def test_overlaps_are_torchvisions(corners: list[tuple[int, ...]]) -> None:
    boxes = np.array([[x, y, x + w + 1, y + h + 1] for x, y, w, h in corners], np.float64)
    expected = box_iou(torch.from_numpy(boxes), torch.from_numpy(boxes)).numpy()
    np.testing.assert_allclose(overlaps(boxes, boxes), expected, rtol=1e-12)


def test_a_window_is_the_part_inside() -> None:
    shape = Shape(np.ones((4, 6)), -2, 8)
    assert shape.window(10) == ((slice(8, 10), slice(0, 4)), (slice(0, 2), slice(2, 6)))
    for x, y in ((-9, 2), (12, 2), (2, -9), (2, 12)):
        of_scene, of_shape = Shape(np.ones((4, 6)), x, y).window(10)
        assert np.zeros((10, 10))[of_scene].size == np.ones((4, 6))[of_shape].size == 0


@cache
def many(glyphs: bytes) -> list[Layout]:
    pixels = np.frombuffer(glyphs, np.uint8).reshape(10, 500, 28, 28)
    return [lay_out(pixels, 10, 96, stream("many", number)) for number in range(600)]


@pytest.fixture
def scenes(glyphs: np.ndarray) -> list[Layout]:
    return many(glyphs.tobytes())


def test_few_scenes_are_empty_and_the_others_hold_two_to_eight(scenes: list[Layout]) -> None:
    counts = np.array([len(scene.digits) for scene in scenes])
    assert 0.05 <= (counts == 0).mean() <= 0.10
    assert np.bincount(counts, minlength=9)[2:].min() > 30
    assert (counts == 1).sum() == 0
    assert any(scene.clutter for scene in scenes if not len(scene.digits)), "nothing to take for a digit"


def test_classes_and_sizes_are_spread_as_declared(scenes: list[Layout]) -> None:
    labels = np.concatenate([scene.labels for scene in scenes])
    share = np.bincount(labels, minlength=10) / len(labels)
    assert share.min() > 0.07
    assert share.max() < 0.13
    sides = np.concatenate([(scene.boxes[:, 2:] - scene.boxes[:, :2]).max(1) for scene in scenes]) / 96
    below = (sides < np.sqrt(np.prod(layouts.HEIGHT))).mean()  # half of a log-uniform draw is below the geometric mean
    assert 0.4 < below < 0.6


def test_some_cross_the_border_and_some_are_covered(scenes: list[Layout]) -> None:
    digits = [digit for scene in scenes for digit in scene.digits]
    crossing = [min(d.x, d.y) < 0 or d.x + d.opacity.shape[1] > 96 or d.y + d.opacity.shape[0] > 96 for d in digits]
    assert 0.06 < np.mean(crossing) <= 0.15  # may cross; not all that may do
    occluders = sum(len(scene.occluders) for scene in scenes)
    assert 0.21 < occluders / len(digits) < 0.29
    hidden = len(digits) - sum(len(scene.boxes) for scene in scenes)
    assert 0 < hidden / len(digits) < 0.05


def test_the_same_stream_lays_out_the_same_scene(glyphs: np.ndarray) -> None:
    first, again, other = (lay_out(glyphs, 3, 128, stream("test", seed)) for seed in (1, 1, 2))
    assert first.boxes.tolist() == again.boxes.tolist() != other.boxes.tolist()
    for one, two in zip(first.digits, again.digits, strict=True):
        np.testing.assert_array_equal(one.opacity, two.opacity)
