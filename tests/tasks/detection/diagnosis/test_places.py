"""The heat map by hand, and its picture read back."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.diagnosis.labels import Labels
from ablab.tasks.detection.diagnosis.places import draw_places, places


def labels(boxes: list[list[float]], width: int = 200, height: int = 100) -> Labels:
    none = np.zeros(len(boxes), bool)
    shape = np.array(boxes, float).reshape(-1, 4)
    return Labels.of(
        [Annotation("a", Path("a"), width, height, shape, np.zeros(len(boxes), int), none, none)], (64, 64)
    )


def test_centres_fall_into_their_cells() -> None:
    """Centres (10, 10), (190, 90) twice and (100, 50) of 200 x 100, over four by four cells of 50 x 25."""
    seen = places(labels([[0, 0, 20, 20], [180, 80, 200, 100], [185, 85, 195, 95], [80, 30, 120, 70]]), cells=4)
    expected = np.zeros((4, 4), int)
    expected[0, 0], expected[3, 3], expected[2, 2] = 1, 2, 1
    np.testing.assert_array_equal(seen.counts, expected)
    assert seen.boxes == 4
    assert seen.central == 0.25
    assert seen.at_border == 0.5
    assert seen.median == pytest.approx(((100 + 190) / 2 / 200, (50 + 90) / 2 / 100))


def test_a_centre_on_the_far_border_is_in_the_last_cell() -> None:
    assert places(labels([[200, 100, 200, 100]]), cells=3).counts[2] == (0, 0, 1)


def test_evenly_spread_boxes_have_a_quarter_in_the_middle() -> None:
    centres = np.random.default_rng(0).uniform(0, (200, 100), (20_000, 2))
    seen = places(labels(np.concatenate([centres - 0.01, centres + 0.01], axis=1).tolist()))
    assert seen.central == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 20_000))


def test_the_picture_is_dark_where_boxes_are() -> None:
    seen = places(labels([[180, 0, 200, 10], [180, 0, 200, 10], [0, 90, 20, 100]]), cells=4)
    picture = np.asarray(Image.open(io.BytesIO(draw_places(seen, 40)))).astype(int)
    assert picture.shape == (40, 40, 3)
    assert picture[5, 35].tolist() == [8, 48, 107]
    assert picture[20, 20].tolist() == [255, 255, 255]
    assert picture[5, 35].sum() < picture[35, 5].sum() < picture[20, 20].sum()


def test_no_boxes() -> None:
    seen = places(labels([]))
    assert np.isnan([seen.central, seen.at_border, *seen.median]).all()
    assert draw_places(seen).startswith(b"\x89PNG")
