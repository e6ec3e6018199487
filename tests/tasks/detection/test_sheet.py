"""The contact sheet: where things stand, by hand, and what is drawn there, by its pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ablab.errors import DataError
from ablab.tasks.detection.boxes import Sample, Truth
from ablab.tasks.detection.draw import colour_of
from ablab.tasks.detection.sheet import (
    CAPTION,
    EMPTY,
    GAP,
    GROUND,
    LINE,
    MARGIN,
    OTHER,
    TITLE,
    Grid,
    Tile,
    contact_sheet,
)

TOP = MARGIN + TITLE + LINE + GAP  # with one line of legend
RED, BLUE = (200, 10, 10), (10, 10, 200)


def plain(colour: tuple[int, int, int], width: int, height: int) -> Callable[[], np.ndarray]:
    return lambda: np.full((height, width, 3), colour, np.uint8)


def tile(
    image: Callable[[], np.ndarray],
    size: tuple[int, int],
    *boxes: tuple[int, float, float, float, float],
    difficult: bool = False,
    crowd: bool = False,
) -> Tile:
    rows = np.array(boxes, np.float64).reshape(-1, 5)
    marks = np.ones(len(rows), bool)
    return Tile("an image", size, image, rows[:, 1:], rows[:, 0].astype(int), marks & difficult, marks & crowd)


def test_a_grid_by_hand() -> None:
    """24 tiles of 4:3 in five columns and five rows come nearest to 3:2 with one gap: 5 * 4/3 / 5 = 1.33."""
    grid = Grid.of(24, 4 / 3, 100)
    assert (grid.columns, grid.rows) == (5, 5)
    assert grid.width == (2000 - 56 + 14) // 5 - 14 == 377
    assert grid.height == 283
    assert grid.size == (2 * 28 + 5 * 377 + 4 * 14, 100 + 5 * (283 + 24) + 4 * 14 + 28)
    assert grid.corner(0) == (28, 100)
    assert grid.corner(7) == (28 + 2 * (377 + 14), 100 + 283 + 24 + 14)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 24, 60, 400])
@pytest.mark.parametrize("aspect", [0.2, 0.75, 1, 16 / 9, 6])
def test_tiles_stand_apart_inside_the_sheet(count: int, aspect: float) -> None:
    grid = Grid.of(count, aspect, 80)
    assert grid.columns * (grid.rows - 1) < count <= grid.columns * grid.rows
    assert abs(grid.width / grid.height - aspect) < 0.5 * aspect / grid.height + 1e-9 + aspect / 100
    corners = np.array([grid.corner(index) for index in range(count)])
    assert corners.min(0).tolist() == [MARGIN, 80]
    assert corners[:, 0].max() + grid.width <= grid.size[0] - MARGIN
    assert corners[:, 1].max() + grid.height + CAPTION <= grid.size[1] - MARGIN + 1
    if count > 1:
        gaps = np.abs(corners[:, None] - corners[None])
        beside = (gaps[..., 0] >= grid.width + GAP) | (gaps[..., 1] >= grid.height + CAPTION + GAP)
        assert beside[~np.eye(count, dtype=bool)].all()


def test_pixels_of_a_sheet_of_one_image() -> None:
    """An image of 96 x 48 is ten times as large on the sheet; its box is a frame there, in the colour of its class."""
    sheet = contact_sheet("t", "n", [tile(plain(RED, 96, 48), (96, 48), (1, 20, 10, 60, 40))], ["a", "b"])
    assert sheet.shape == (TOP + 480 + CAPTION + MARGIN, 960 + 2 * MARGIN, 3)
    inside = sheet[TOP : TOP + 480, MARGIN : MARGIN + 960]
    frame = np.abs(inside.astype(int) - colour_of(1)).max(-1) == 0
    columns = np.flatnonzero(frame[250])
    assert columns.min() == 200
    assert columns.max() == 599
    rows = np.flatnonzero(frame[:, 400])
    assert rows[rows >= 100].min() == 100
    assert frame[399, 400]
    assert (inside[470, 10], inside[250, 400]) == (pytest.approx(RED), pytest.approx(RED))
    assert sheet[TOP - 1, MARGIN + 5].tolist() == list(GROUND)


def test_an_image_of_another_shape_stands_in_the_middle_of_its_tile() -> None:
    tiles = [tile(plain(RED, 80, 60), (80, 60)) for _ in range(3)] + [tile(plain(BLUE, 30, 60), (30, 60))]
    sheet = contact_sheet("t", "n", tiles, ["a"])
    grid = Grid.of(4, 80 / 60, TOP - LINE)  # without boxes there is no legend
    left, top = grid.corner(3)
    row = sheet[top + grid.height // 2, left : left + grid.width]
    blue = np.flatnonzero((row == BLUE).all(-1))
    assert abs(len(blue) - grid.height / 2) <= 1
    assert abs((blue[0] + blue[-1]) / 2 - grid.width / 2) <= 1
    assert row[0].tolist() == list(EMPTY)


def colours(sheet: np.ndarray) -> set[tuple[int, int, int]]:
    packed = np.unique(sheet.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)).tolist()
    return {(value >> 16, value >> 8 & 255, value & 255) for value in packed}


def test_boxes_of_other_classes_are_grey_where_one_was_asked_for() -> None:
    boxes = ((0, 5, 5, 40, 40), (1, 50, 5, 90, 40))
    sheet = contact_sheet("t", "n", [tile(plain(RED, 96, 48), (96, 48), *boxes)], ["a", "b"], only="b")
    assert colour_of(1) in colours(sheet)
    assert OTHER in colours(sheet)
    assert colour_of(0) not in colours(sheet)


def test_difficult_boxes_are_dashed_and_crowds_hatched() -> None:
    box = (0, 10, 10, 80, 40)

    def frame(**marks: bool) -> np.ndarray:
        sheet = contact_sheet("t", "n", [tile(plain(RED, 96, 48), (96, 48), box, **marks)], ["a"])
        return (sheet[TOP : TOP + 480, MARGIN : MARGIN + 960] == colour_of(0)).all(-1)

    solid, dashed, hatched = frame(), frame(difficult=True), frame(crowd=True)
    bottom = (399, slice(100, 800))
    assert solid[bottom].all()
    assert 0.4 < dashed[bottom].mean() < 0.8
    assert not solid[150:350, 150:750].any()
    assert hatched[150:350, 150:750].any()


def test_a_crowded_tile_names_only_boxes_with_room() -> None:
    """15 small boxes and a large one: the plate of the large one is drawn, those of the small ones are not."""
    small = [(0, 2 + 6 * (i % 15), 40, 6 + 6 * (i % 15), 44) for i in range(15)]
    name = "a name that is long"
    with_names = contact_sheet("t", "n", [tile(plain(RED, 96, 48), (96, 48), *small[:5])], [name, "b"])
    without = contact_sheet("t", "n", [tile(plain(RED, 96, 48), (96, 48), *small, (1, 5, 2, 90, 30))], [name, "b"])

    def covered(sheet: np.ndarray, label: int) -> int:
        return int((sheet[TOP : TOP + 480, MARGIN : MARGIN + 960] == colour_of(label)).all(-1).sum())

    frames = 15 * 4 * 40 * 5  # at most: four sides of 40 x 5 pixels
    assert covered(without, 0) <= frames
    assert covered(with_names, 0) > 5 * 4 * 40 * 5
    assert covered(without, 1) > 0


def test_an_image_that_cannot_be_read_leaves_the_others_on_the_sheet() -> None:
    def broken() -> np.ndarray:
        raise DataError("gone")

    sheet = contact_sheet("t", "n", [tile(broken, (96, 48)), tile(plain(BLUE, 96, 48), (96, 48))], ["a"])
    assert BLUE in colours(sheet)
    assert EMPTY in colours(sheet)


def test_a_sample_is_shown_as_training_sees_it() -> None:
    image = np.full((48, 96, 3), RED, np.uint8)
    none = np.zeros((0, 4))
    truth = Truth("x", none, np.zeros(0, int), np.zeros(0), np.zeros(0, bool), np.zeros(0, bool))
    made = Tile.of_sample(Sample("x", image, np.array([[1.0, 2, 3, 4]]), np.array([0]), truth))
    assert (made.caption, made.size) == ("x", (96, 48))
    assert made.image() is image
    assert not made.difficult.any()


def test_long_titles_and_many_classes_stay_inside() -> None:
    classes = [f"a class with a long name, number {label}" for label in range(70)]
    boxes = [(label, 1 + label % 40, 1, 20 + label % 40, 30) for label in range(70)]
    sheet = contact_sheet("very " * 80, "long " * 80, [tile(plain(RED, 96, 48), (96, 48), *boxes)], classes)
    assert (sheet[:, : MARGIN - 1] == GROUND).all()
    assert (sheet[:, -MARGIN + 1 :] == GROUND).all()
