"""Strokes as masks: sized as asked, turned within bounds, and fragments that are no digit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablab.streams import stream
from ablab.tasks.detection.formats.photo_digits.ink import DEGREES, LETTERS, fragment, letter, warp
from ablab.tasks.detection.formats.photo_digits.layout import CURVED


def extent(mask: np.ndarray) -> tuple[int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


class Fixed:
    """A generator that draws angle, shear and width as told."""

    def __init__(self, angle: float, shear: float, wide: float) -> None:
        self.values = (angle, shear, wide)

    def uniform(self, low: list[float], high: list[float]) -> tuple[float, ...]:
        assert (low[0], high[0]) == (-DEGREES, DEGREES)
        return self.values


def bar() -> np.ndarray:
    glyph = np.zeros((28, 28), np.uint8)
    glyph[4:24, 10:15] = 255
    return glyph


@pytest.mark.parametrize(
    ("angle", "shear", "wide", "expected"),
    [
        (0, 0, 1, (40, 10)),  # 20 x 5 pixels, twice as large
        (0, 0, 1.5, (40, 15)),
        (90, 0, 1, (10, 40)),
        (0, 0.5, 1, (40, 30)),  # half a pixel aside for each of 40 down: 10 + 20
    ],
)
def test_a_bar_gets_the_sides_that_geometry_says(
    angle: float, shear: float, wide: float, expected: tuple[int, int]
) -> None:
    found = extent(warp(bar(), 40, Fixed(angle, shear, wide)) >= 0.5)  # type: ignore[arg-type]
    assert np.abs(np.subtract(found, expected)).max() <= 2


@given(st.integers(0, 2**32), st.integers(0, 9), st.floats(8, 90))
def test_ink_is_whole_and_of_the_size_asked(glyphs: np.ndarray, seed: int, digit: int, height: float) -> None:
    rng = stream("test", seed)
    opacity = warp(glyphs[digit, rng.integers(500)], height, rng)
    assert opacity.min() >= 0
    assert opacity.max() <= 1
    ink = opacity >= 0.5
    assert 0.55 * height < max(extent(ink)) < 1.5 * height
    assert ink[1:-1, 1:-1].sum() == ink.sum(), "ink was cut at the edge of its own picture"


@pytest.mark.parametrize("digit", CURVED)
def test_a_fragment_is_at_most_half_of_its_digit(glyphs: np.ndarray, digit: int) -> None:
    for glyph in glyphs[digit]:
        piece = fragment(glyph)
        assert 0 < piece.sum(dtype=int) <= 0.5 * glyph.sum(dtype=int)
        np.testing.assert_array_equal(piece[piece > 0], glyph[piece > 0])


def test_letters_have_ink_and_differ() -> None:
    drawn = [letter(stream("test", seed)) for seed in range(20)]
    assert all((image >= 128).sum() > 20 for image in drawn)
    assert len({image.tobytes() for image in drawn}) == 20
    assert not set(LETTERS) & set("BDGIJLOQSZ"), "these resemble digits"
