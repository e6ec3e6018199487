import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painting import centre, centroid, extent, painted, sample, scenes, sizes

from ablab.tasks.detection.augment.letterbox import GREY, STRIDE, fit, fitting, letterbox, rectangle
from ablab.tasks.detection.model import STRIDES


def test_hand_computed():
    # 40 x 20 (W x H) into 80 x 80: scale 2, 40 rows of image with 20 rows of grey above and below.
    out = letterbox(painted(20, 40, (4, 6, 10, 12)), (80, 80))
    assert out.image.shape == (80, 80, 3)
    assert out.scale == 2
    assert out.shift == (0, 20)
    np.testing.assert_array_equal(out.boxes, [[8, 32, 20, 44]])
    assert (out.image[:20] == GREY).all()
    assert (out.image[60:] == GREY).all()
    np.testing.assert_array_equal(extent(out.image), [8, 32, 20, 44])


@settings(max_examples=60, deadline=None)
@given(scenes(), sizes)
def test_the_painted_box_stands_where_the_box_says(scene, size):
    out = letterbox(scene, size)
    assert out.image.shape == (*size, 3)
    assert np.abs(extent(out.image) - out.boxes[0]).max() <= 1
    # Rounding the sides cuts or adds up to half a pixel at the border, which moves the centre by a quarter.
    assert np.abs(centroid(out.image) - centre(out.boxes[0])).max() <= 0.4


@settings(max_examples=60, deadline=None)
@given(scenes(), sizes)
def test_scale_and_shift_take_the_annotation_to_the_image(scene, size):
    out = letterbox(scene, size)
    np.testing.assert_allclose(out.boxes, scene.boxes * out.scale + np.tile(out.shift, 2), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(scenes(), sizes)
def test_a_fitted_image_letterboxes_to_the_same(scene, size):
    direct, staged = letterbox(scene, size), letterbox(fit(scene, size), size)
    assert direct.image.tobytes() == staged.image.tobytes()
    np.testing.assert_array_equal(direct.boxes, staged.boxes)
    assert (direct.scale, direct.shift) == (staged.scale, staged.shift)


@given(st.integers(1, 4000))
@settings(max_examples=30, deadline=None)
def test_any_strip_fits(length):
    out = letterbox(sample(np.zeros((1, length, 3), np.uint8), []), (64, 96))
    assert out.image.shape == (64, 96, 3)
    assert out.boxes.shape == (0, 4)


@pytest.mark.parametrize("size", [(30, 50), (31, 51), (60, 100)])
def test_the_input_is_left_alone(size):
    scene = painted(30, 50, (4, 6, 10, 12))
    out = letterbox(scene, size)
    out.image[:] = 7
    out.boxes[:] = 7
    assert scene.image.max() == 255
    np.testing.assert_array_equal(scene.boxes, [[4, 6, 10, 12]])


def test_the_stride_is_the_coarsest_of_the_network():
    assert max(STRIDES) == STRIDE


@settings(max_examples=200)
@given(st.integers(1, 500), st.integers(1, 500), st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_fitting_says_what_fit_does_and_a_rectangle_holds_it(height, width, strides):
    size = (strides[0] * STRIDE, strides[1] * STRIDE)
    out = fit(sample(np.zeros((height, width, 3), np.uint8), []), size)
    scale, sides = fitting(height, width, size)
    assert (out.scale, out.image.shape[:2]) == (scale, sides)
    held = rectangle(height, width, size)
    for side, inner, whole in zip(held, sides, size, strict=True):
        assert inner <= side <= whole
        assert side % STRIDE == 0
        grey, before = (side - inner) // 2, (whole - inner) // 2
        assert min(before, 64) <= grey < 64 + STRIDE
        assert (before - grey) % STRIDE == 0
