import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painting import Fixed, extent, painted, sample, scenes, seeds

from ablab.tasks.detection.augment import erase as erasing
from ablab.tasks.detection.augment.crop import Crop
from ablab.tasks.detection.augment.erase import Erase


@pytest.mark.parametrize("change", [Crop, Erase])
def test_with_probability_0_it_is_the_same_sample(change):
    scene = painted(40, 60, (5, 6, 20, 30))
    assert change(0.0)(scene, np.random.default_rng(0)) is scene


def test_a_crop_of_everything_changes_nothing():
    scene = sample(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8), [[5, 6, 20, 30]])
    out = Crop(1.0)(scene, Fixed(0, 1, 0, 0.3, 0.6))
    np.testing.assert_array_equal(out.image, scene.image)
    np.testing.assert_array_equal(out.boxes, scene.boxes)


def test_crop_hand_computed():
    # Half of 60 x 40 is 30 x 20. The box's centre (12, 18) is in it with left 0 to 12, top 0 to 18: the middle of both.
    out = Crop(1.0)(painted(40, 60, (5, 6, 19, 30)), Fixed(0, 0, 0, 0.5, 0.5))
    # Columns 6 to 36, rows 9 to 29; what is there of the box is (6, 9) to (19, 29), twice as large.
    np.testing.assert_allclose(out.boxes, [[0, 0, 26, 40]])
    np.testing.assert_array_equal(extent(out.image), [0, 0, 26, 40])


@settings(max_examples=80)
@given(scenes(), seeds)
def test_a_crop_moves_pixels_and_boxes_alike_and_always_shows_an_object(scene, seed):
    out = Crop(1.0)(scene, np.random.default_rng(seed))
    assert out.image.shape == scene.image.shape
    assert len(out.boxes) == 1
    assert np.abs(extent(out.image) - out.boxes[0]).max() <= 1.5  # a pixel's edge is smeared over up to two


@settings(max_examples=30)
@given(seeds)
def test_a_crop_without_boxes(seed):
    out = Crop(1.0)(sample(np.zeros((33, 47, 3), np.uint8), []), np.random.default_rng(seed))
    assert out.image.shape == (33, 47, 3)
    assert out.boxes.shape == (0, 4)


def test_erasing_no_area_changes_nothing(monkeypatch):
    monkeypatch.setattr(erasing, "AREA", (0.0, 0.0))
    scene = painted(40, 60, (5, 6, 20, 30))
    out = Erase(1.0)(scene, np.random.default_rng(0))
    np.testing.assert_array_equal(out.image, scene.image)
    np.testing.assert_array_equal(out.boxes, scene.boxes)


def test_erase_hand_computed(monkeypatch):
    # A quarter of 40 x 40 at an aspect of 1 is 20 x 20; in the middle of what is free, it begins at (10, 10).
    monkeypatch.setattr(erasing, "AREA", (0.25, 0.25))
    boxes = [[10, 7, 30, 40], [10, 6, 30, 40], [0, 0, 8, 8]]  # hidden by 20/33 (61%), by 20/34 (59%), not at all
    scene = sample(np.zeros((40, 40, 3), np.uint8), boxes, [0, 1, 2])
    out = Erase(1.0)(scene, Fixed(0, 0, 0.5, 0.5, 0.5))
    hidden = np.zeros((40, 40), bool)
    hidden[10:30, 10:30] = True
    np.testing.assert_array_equal((out.image == 7).all(axis=2), hidden)
    np.testing.assert_array_equal(out.labels, [1, 2])
    assert (scene.image == 0).all()


@settings(max_examples=60)
@given(st.integers(20, 80), st.integers(20, 80), seeds)
def test_the_erased_share_is_the_papers(height, width, seed):
    blank = sample(np.full((height, width, 3), 255, np.uint8), [[0, 0, width, height]])
    out = Erase(1.0)(blank, np.random.default_rng(seed))
    changed = (out.image != 255).any(axis=2).mean()
    assert changed <= 0.4 + (height + width) / (height * width)  # half a pixel of rounding at each side
    assert len(out.boxes) == 1  # at most 40% are hidden
