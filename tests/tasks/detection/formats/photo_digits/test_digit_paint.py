"""Pixels against the layout: ink stands where its box says, and stands out."""

from __future__ import annotations

import numpy as np
import pytest

from ablab.streams import stream
from ablab.tasks.detection.formats.photo_digits.ink import warp
from ablab.tasks.detection.formats.photo_digits.layout import Layout, Shape, lay_out
from ablab.tasks.detection.formats.photo_digits.paint import CONTRAST, LUMA, paint

SIZE = 96


def only(shape: Shape, box: tuple[float, ...] = (0, 0, 1, 1)) -> Layout:
    return Layout((), (shape,), (), np.array([box], np.float64), np.array([0]))


def plain(level: int) -> np.ndarray:
    return np.full((300, 320, 3), level, np.uint8)


@pytest.mark.parametrize("seed", range(10))
def test_ink_is_painted_where_its_box_says(glyphs: np.ndarray, seed: int) -> None:
    """On black, where a shadow does not show and noise stays far below ink."""
    rng = stream("test", seed)
    opacity = warp(glyphs[seed, seed], 30, rng)
    rows, columns = np.nonzero(opacity >= 0.5)
    x, y = 20 + seed, 40 - seed
    image = paint(only(Shape(opacity, x, y)), SIZE, plain(0), [plain(0)], rng)
    bright = np.argwhere(image @ LUMA > 40)
    found = [*bright.min(0)[::-1], *(bright.max(0)[::-1] + 1)]
    box = [x + columns.min(), y + rows.min(), x + columns.max() + 1, y + rows.max() + 1]
    assert np.abs(np.subtract(found, box)).max() <= 2


@pytest.mark.parametrize("level", [0, 60, 128, 200, 255])
def test_ink_stands_out_from_any_background(level: int) -> None:
    for seed in range(8):
        block = only(Shape(np.ones((20, 20)), 40, 40))
        image = paint(block, SIZE, plain(level), [plain(0)], stream("test", level, seed)) @ LUMA
        inside, outside = image[44:56, 44:56].mean(), image[:12, :12].mean()
        assert abs(inside - outside) > 0.75 * min(CONTRAST, max(outside, 255 - outside))  # 0.8: the least opacity


def test_an_occluder_hides_ink_behind_another_photograph() -> None:
    ink, cover = Shape(np.ones((40, 40)), 30, 30), Shape(np.ones((20, 20)), 40, 40)
    layout = Layout((), (ink,), (cover,), np.zeros((0, 4)), np.zeros(0, np.int64))
    striped = np.tile(np.array([[0], [250]], np.uint8).repeat(40, 0)[..., None], (5, 400, 3))
    image = paint(layout, SIZE, plain(128), [striped], stream("test", 3))
    covered, inked = (part.std(axis=(0, 1)).mean() for part in (image[42:58, 42:58], image[32:38, 32:68]))
    assert covered > 3 * inked


def test_a_scene_smaller_and_larger_than_its_photograph(glyphs: np.ndarray) -> None:
    photograph = stream("photo").integers(0, 256, (120, 150, 3), np.uint8)
    for size in (64, 256):
        rng = stream("test", size)
        image = paint(lay_out(glyphs, 10, size, rng), size, photograph, [photograph], rng)
        assert image.shape == (size, size, 3)
        assert image.dtype == np.uint8


def test_the_same_stream_paints_the_same_bytes(glyphs: np.ndarray) -> None:
    photograph = stream("photo").integers(0, 256, (300, 300, 3), np.uint8)
    layout = lay_out(glyphs, 10, SIZE, stream("layout"))
    first, again, other = (paint(layout, SIZE, photograph, [photograph], stream("paint", s)) for s in (1, 1, 2))
    assert first.tobytes() == again.tobytes() != other.tobytes()
