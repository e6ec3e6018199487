import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painting import extent, painted, sample, scenes, seeds, sizes

from ablab.tasks.detection.augment.letterbox import GREY
from ablab.tasks.detection.augment.mosaic import mosaic

BLACK = sample(np.zeros((40, 60, 3), np.uint8), [], name="black")


@settings(max_examples=80, deadline=None)
@given(scenes(), sizes, seeds, st.integers(0, 3))
def test_the_painted_box_stands_where_the_box_says(scene, size, seed, corner):
    four = [BLACK] * 4
    four[corner] = scene
    out = mosaic(four, (2 * size[0], 2 * size[1]), np.random.default_rng(seed))
    assert out.image.shape == (2 * size[0], 2 * size[1], 3)
    if len(out.boxes):
        assert np.abs(extent(out.image) - out.boxes[0]).max() <= 1


def test_hand_computed():
    # Tiles of half the canvas, nothing resized; the joint is read off the same generator.
    tiles = [painted(40, 60, (10, 20, 50, 30), name=name) for name in "abcd"]
    tiles = [sample(t.image, t.boxes, [n], t.id) for n, t in enumerate(tiles)]
    share = np.random.default_rng(3).uniform(0.25, 0.75, 2)
    x, y = round(share[0] * 120), round(share[1] * 80)
    out = mosaic(tiles, (80, 120), np.random.default_rng(3))
    inside = np.array([[x - 50, y - 20, x - 10, y - 10], [x + 10, y - 20, x + 50, y - 10]])
    below = inside + np.array([0, 40, 0, 40])
    expected = np.concatenate([inside, below]).clip(0, [120, 80, 120, 80])
    kept = (expected[:, 2:] - expected[:, :2]).prod(1) >= 40
    np.testing.assert_array_equal(out.boxes, expected[kept])
    np.testing.assert_array_equal(out.labels, np.arange(4)[kept])
    assert out.id == "a"
    assert out.truth is tiles[0].truth


def test_a_portrait_leaves_grey():
    tall = sample(np.zeros((80, 20, 3), np.uint8), [])
    out = mosaic([tall] * 4, (160, 160), np.random.default_rng(0))
    assert set(np.unique(out.image)) == {0, GREY}


@pytest.mark.parametrize(("seed", "same"), [(5, True), (6, False)])
def test_the_generator_decides(seed, same):
    tiles = [painted(40, 60, (10, 20, 50, 30))] * 4
    one = mosaic(tiles, (80, 120), np.random.default_rng(5))
    two = mosaic(tiles, (80, 120), np.random.default_rng(seed))
    assert (one.image.tobytes() == two.image.tobytes()) is same
