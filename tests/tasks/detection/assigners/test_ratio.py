"""The ratio assigner against cases worked out by hand, and the slot's contract."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ablab import registry
from ablab.errors import ConfigError
from ablab.tasks.detection.assigners import Grid, Objects

ONE_LEVEL = Grid(torch.tensor([[[16.0, 16.0]]]), (8,), ((8, 8),))
THREE_LEVELS = Grid(
    torch.tensor(
        [[[10, 13], [16, 30], [33, 23]], [[30, 61], [62, 45], [59, 119]], [[116, 90], [156, 198], [373, 326]]]
    ).float(),
    (8, 16, 32),
    ((16, 12), (8, 6), (4, 3)),  # 128 x 96 pixels
)


def objects(boxes, labels=None, images=None):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    zeros = [0] * len(boxes)
    return Objects(boxes, torch.tensor(labels or zeros), torch.tensor(images or zeros))


def square(x, y, side=16.0):
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def cells(box, **args):
    """The (row, column) pairs that answer for one box."""
    (level,) = registry.make("ratio", "assigner", **args)(objects([box]), ONE_LEVEL)
    return sorted(zip(level.row.tolist(), level.column.tolist(), strict=True))


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (26, 42, [(4, 3), (5, 2), (5, 3)]),  # cell (row 5, column 3), upper left quarter: the one above, the one left
        (30, 42, [(4, 3), (5, 3), (5, 4)]),  # upper right
        (26, 46, [(5, 2), (5, 3), (6, 3)]),  # lower left
        (30, 46, [(5, 3), (5, 4), (6, 3)]),  # lower right
        (28, 44, [(5, 3)]),  # the cell's very middle: no neighbour is nearer than the other
        (28, 42, [(4, 3), (5, 3)]),  # in the middle of x only
        (24, 40, [(4, 3), (5, 2), (5, 3)]),  # on the upper left corner
        (1, 1, [(0, 0)]),  # the map ends there
        (63, 63, [(7, 7)]),
        (64, 64, [(7, 7)]),  # a centre on the far border belongs to the last cell
        (1, 42, [(4, 0), (5, 0)]),
    ],
)
def test_cells_by_hand(x, y, expected):
    assert cells(square(x, y)) == expected


def test_offset_zero_asks_no_neighbour():
    assert cells(square(26, 42), offset=0.0) == [(5, 3)]


def test_offset_says_how_near_a_neighbour_must_be():
    assert cells(square(25, 42), offset=0.2) == [(5, 2), (5, 3)]  # 1/8 of a cell from the left border, 2/8 from above


@pytest.mark.parametrize(
    ("width", "height", "assigned"),
    [
        (16, 16, True),
        (4.1, 16, True),
        (4, 16, False),  # exactly 4 times is too much
        (16, 63.9, True),
        (16, 64, False),
        (4.1, 63.9, True),  # each side counts by itself
        (0, 16, False),
        (0, 0, False),
        (-16, -16, False),
    ],
)
def test_ratio_by_hand(width, height, assigned):
    box = [28 - width / 2, 44 - height / 2, 28 + width / 2, 44 + height / 2]
    assert bool(cells(box)) is assigned


def test_ratio_is_an_argument():
    assert cells([24, 40, 28, 56], ratio=8.0)


def test_levels_and_anchors_by_hand():
    """A 40 x 40 box suits the anchors whose sides are above 10 and below 160; at 28 x 44 its centre is cell (5, 3)
    of level 0, (2, 1) of level 1 and (1, 0) of level 2."""
    box = square(28, 44, 40.0)
    levels = registry.make("ratio", "assigner")(objects([box], labels=[7], images=[2]), THREE_LEVELS)
    assert [sorted(set(level.anchor.tolist())) for level in levels] == [[1, 2], [0, 1, 2], [0]]
    homes = [(5, 3), (2, 1), (1, 0)]
    for level, home in zip(levels, homes, strict=True):
        assert home in zip(level.row.tolist(), level.column.tolist(), strict=True)
        assert set(level.image.tolist()) == {2}
        assert set(level.labels.tolist()) == {7}
        assert torch.equal(level.boxes, torch.tensor([box]).expand(len(level.row), 4))


def test_no_object():
    for level in registry.make("ratio", "assigner")(objects([]), THREE_LEVELS):
        assert level.boxes.shape == (0, 4)
        assert level.image.shape == level.anchor.shape == level.row.shape == level.column.shape == (0,)
        assert level.row.dtype == torch.int64


coordinate = st.floats(0, 128, width=32)
some_boxes = st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=12).map(
    lambda boxes: [[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in boxes]
)


@given(boxes=some_boxes, data=st.data())
def test_order_does_not_matter(boxes, data):
    order = data.draw(st.permutations(range(len(boxes))))
    labels = list(range(len(boxes)))
    assign = registry.make("ratio", "assigner")
    first = assign(objects(boxes, labels), THREE_LEVELS)
    second = assign(objects([boxes[i] for i in order], [labels[i] for i in order]), THREE_LEVELS)
    for one, other in zip(first, second, strict=True):
        assert rows(one) == rows(other)


def rows(level):
    return sorted(
        zip(level.image.tolist(), level.anchor.tolist(), level.row.tolist(), level.column.tolist(),
            level.labels.tolist(), level.boxes.tolist(), strict=True)
    )  # fmt: skip


@given(boxes=some_boxes)
def test_indices_are_in_range_and_within_reach(boxes):
    assignments = registry.make("ratio", "assigner")(objects(boxes), THREE_LEVELS)
    for level, stride, (height, width) in zip(assignments, THREE_LEVELS.strides, THREE_LEVELS.sizes, strict=True):
        assert ((level.row >= 0) & (level.row < height)).all()
        assert ((level.column >= 0) & (level.column < width)).all()
        assert ((level.anchor >= 0) & (level.anchor < 3)).all()
        inside = ((level.boxes[:, :2] + level.boxes[:, 2:]) / 2 <= torch.tensor([96.0, 128.0])).all(dim=1)
        centre = (level.boxes[:, :2] + level.boxes[:, 2:]) / (2 * stride)
        reach = centre - torch.stack((level.column, level.row), dim=1)
        assert ((reach >= -0.5) & (reach <= 1.5))[inside].all()  # what 2 sigmoid - 0.5 can say


@given(boxes=some_boxes)
def test_no_place_is_paired_twice_with_one_object(boxes):
    for level in registry.make("ratio", "assigner")(objects(boxes, list(range(len(boxes)))), THREE_LEVELS):
        places = list(zip(level.anchor.tolist(), level.row.tolist(), level.column.tolist(), level.labels.tolist(),
                          strict=True))  # fmt: skip
        assert len(places) == len(set(places))


@pytest.mark.parametrize("args", [{"ratio": 1.0}, {"offset": 0.6}, {"offset": -0.1}])
def test_senseless_arguments_are_refused(args):
    with pytest.raises(ConfigError, match=next(iter(args))):
        registry.make("ratio", "assigner", **args)
