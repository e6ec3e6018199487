import colorsys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from painting import extent, sample, scenes

from ablab.tasks.detection.augment.flip import Flip
from ablab.tasks.detection.augment.hsv import HSV


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_flip_is_exact(scene):
    out = Flip(1.0)(scene, np.random.default_rng(0))
    np.testing.assert_array_equal(out.image, scene.image[:, ::-1])
    np.testing.assert_array_equal(extent(out.image), out.boxes[0])


@settings(max_examples=30, deadline=None)
@given(scenes())
def test_two_flips_are_none(scene):
    rng = np.random.default_rng(0)
    out = Flip(1.0)(Flip(1.0)(scene, rng), rng)
    np.testing.assert_array_equal(out.image, scene.image)
    np.testing.assert_array_equal(out.boxes, scene.boxes)
    assert Flip(0.0)(scene, rng) is scene


def test_flip_without_boxes():
    assert Flip(1.0)(sample(np.zeros((4, 6, 3), np.uint8), []), np.random.default_rng(0)).boxes.shape == (0, 4)


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(0, 255)] * 3), st.integers(0, 999))
def test_colour_agrees_with_colorsys(rgb, seed):
    recipe = HSV(hue=0.2, saturation=0.5, value=0.3)
    scene = sample(np.full((8, 8, 3), rgb, np.uint8), [])
    turn, strength, light = np.random.default_rng(seed).uniform(-1, 1, 3)
    h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in rgb))
    h, s, v = h + 0.2 * turn, min(s * (1 + 0.5 * strength), 1), min(v * (1 + 0.3 * light), 1)
    expected = np.array(colorsys.hsv_to_rgb(h % 1, s, v)) * 255
    out = recipe(scene, np.random.default_rng(seed))
    # uint8 HSV keeps hue in steps of 2 degrees: one step is up to 255 / 30 levels of a channel.
    assert np.abs(out.image[0, 0] - expected).max() <= 255 / 30 + 3


def test_without_settings_colours_stay():
    scene = sample(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8), [])
    assert HSV(hue=0, saturation=0, value=0)(scene, np.random.default_rng(0)) is scene
