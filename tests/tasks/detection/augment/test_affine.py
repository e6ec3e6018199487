import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from painting import centre, centroid, extent, painted, sample, scenes, seeds, sizes

from ablab.tasks.detection.augment.affine import Affine

STILL = Affine(degrees=0, translate=0, scale=0, shear=0)


class Fixed:
    """A generator that always draws the same."""

    def __init__(self, *draws):
        self.draws = draws

    def uniform(self, low, high, count):
        assert (low, high, count) == (-1, 1, len(self.draws))
        return np.array(self.draws, float)


def test_without_settings_nothing_moves():
    scene = painted(40, 60, (5, 6, 20, 30))
    assert STILL.onto(scene, (40, 60), np.random.default_rng(0)) is scene


def test_a_larger_canvas_is_cut_in_its_middle():
    scene = painted(40, 60, (25, 15, 35, 25))
    out = STILL.onto(scene, (20, 30), np.random.default_rng(0))
    np.testing.assert_array_equal(out.image, scene.image[10:30, 15:45])
    np.testing.assert_allclose(out.boxes, [[10, 5, 20, 15]])


def test_half_a_turn_is_exact():
    # About the centre, the edges x become W - x: an error of half a pixel in the matrix would show as a whole one.
    scene = painted(40, 60, (5, 6, 20, 30))
    out = Affine(degrees=180, translate=0, scale=0).onto(scene, (40, 60), Fixed(1, 0, 0, 0, 0, 0))
    np.testing.assert_allclose(out.boxes, [[40, 10, 55, 34]], atol=1e-9)
    np.testing.assert_array_equal(extent(out.image), [40, 10, 55, 34])


def test_a_quarter_turn_clockwise_on_a_square():
    scene = painted(40, 40, (5, 6, 20, 30))
    out = Affine(degrees=90, translate=0, scale=0).onto(scene, (40, 40), Fixed(1, 0, 0, 0, 0, 0))
    np.testing.assert_array_equal(out.image, np.rot90(scene.image, -1))
    np.testing.assert_allclose(out.boxes, [[10, 5, 34, 20]], atol=1e-9)


def test_a_shift_is_a_share_of_the_side():
    scene = painted(40, 60, (25, 15, 35, 25))
    out = Affine(translate=0.1, scale=0).onto(scene, (40, 60), Fixed(0, 0, 0, 0, 1, -1))
    np.testing.assert_allclose(out.boxes, [[31, 11, 41, 21]], atol=1e-9)
    np.testing.assert_array_equal(extent(out.image), [31, 11, 41, 21])


@settings(max_examples=80, deadline=None)
@given(scenes(), sizes, seeds)
def test_zoom_and_shift_move_pixels_and_boxes_alike(scene, size, seed):
    out = Affine(scale=0.5, translate=0.3).onto(scene, size, np.random.default_rng(seed))
    assert out.image.shape == (*size, 3)
    if len(out.boxes):
        assert np.abs(extent(out.image) - out.boxes[0]).max() <= 1


@settings(max_examples=80, deadline=None)
@given(scenes(side=10), seeds)
def test_rotation_and_shear_move_pixels_and_boxes_alike(scene, seed):
    size = (200, 200)  # roomy, so that nothing is cut
    out = Affine(degrees=180, shear=20, scale=0, translate=0.1).onto(scene, size, np.random.default_rng(seed))
    assume(len(out.boxes) and out.boxes.min() > 0 and out.boxes.max() < 200)
    # A parallelogram's centre of mass is the centre of its bounding box; bilinear interpolation keeps it.
    assert np.abs(centroid(out.image) - centre(out.boxes[0])).max() <= 0.1
    assert np.abs(extent(out.image) - out.boxes[0]).max() <= 2  # a sharp corner fills little of its last pixel


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(0, 20))
def test_boxes_stay_valid_and_inside(seed, count):
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 40, (count, 2))
    boxes = np.concatenate([start, start + rng.uniform(0, 20, (count, 2))], axis=1)
    scene = sample(np.zeros((60, 60, 3), np.uint8), boxes, np.arange(count))
    wild = Affine(degrees=180, shear=45, scale=0.9, translate=0.8)
    out = wild.onto(scene, (48, 64), rng)
    assert len(out.boxes) == len(out.labels)
    assert out.boxes.shape[1:] == (4,)
    if len(out.boxes):
        assert (out.boxes[:, 2:] - out.boxes[:, :2] >= 2).all()
        assert out.boxes.min() >= 0
        assert (out.boxes[:, 2:] <= (64, 48)).all()


@pytest.mark.parametrize(("shift", "left"), [(0.88, 1), (0.92, 0)])
def test_a_box_of_which_less_than_a_tenth_is_left_goes(shift, left):
    # The whole image is one box; shifted by 0.88 of the width 12% of it remain, by 0.92 8%.
    scene = painted(50, 100, (0, 0, 100, 50))
    out = Affine(translate=1, scale=0).onto(scene, (50, 100), Fixed(0, 0, 0, 0, shift, 0))
    assert len(out.boxes) == len(out.labels) == left


def test_a_box_under_two_pixels_goes():
    scene = sample(np.zeros((50, 50, 3), np.uint8), [[10, 10, 13.9, 40], [10, 10, 14.1, 40]], [1, 2])
    out = Affine(scale=0.5, translate=0).onto(scene, (50, 50), Fixed(0, -1, 0, 0, 0, 0))
    np.testing.assert_array_equal(out.labels, [2])
