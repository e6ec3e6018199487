"""The ratio assigner against cases worked out by hand, and the slot's contract."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ablab import registry
from ablab.errors import ConfigError
from ablab.tasks.detection.assigners import Objects
from ablab.tasks.detection.grid import Grid

CPU = torch.device("cpu")
ONE_LEVEL = Grid((8,), ((8, 8),), CPU, torch.tensor([[[16.0, 16.0]]]))
THREE_LEVELS = Grid(
    (8, 16, 32),
    ((16, 12), (8, 6), (4, 3)),  # 128 x 96 pixels
    CPU,
    torch.tensor(
        [[[10, 13], [16, 30], [33, 23]], [[30, 61], [62, 45], [59, 119]], [[116, 90], [156, 198], [373, 326]]]
    ).float(),
)


def objects(boxes, labels=None, images=None):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    zeros = [0] * len(boxes)
    return Objects(boxes, torch.tensor(labels or zeros), torch.tensor(images or zeros))


def square(x, y, side=16.0):
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def cells(box, **args):
    """The (row, column) pairs that answer for one box."""
    pairs = registry.make("ratio", "assigner", **args)(objects([box]), ONE_LEVEL, never)
    return sorted(divmod(place, 8) for place in pairs.place.tolist())


def never():
    """The predictions, for an assigner that does not ask for them."""
    raise AssertionError


def where(pairs):
    """(object, level, anchor, row, column) of each pair among three levels, sorted."""
    found = []
    for place, index in zip(pairs.place.tolist(), pairs.object.tolist(), strict=True):
        level = sum(place >= start for start in (576, 720))  # 16 * 12 * 3 places, and 8 * 6 * 3 more
        cell, anchor = divmod(place - (0, 576, 720)[level], 3)
        found.append((index, level, anchor, *divmod(cell, (12, 6, 3)[level])))
    return sorted(found)


def assign(boxes):
    return registry.make("ratio", "assigner")(objects(boxes), THREE_LEVELS, never)


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
    found = where(assign([box]))
    assert [sorted({anchor for _, at, anchor, _, _ in found if at == level}) for level in range(3)] == [
        [1, 2],
        [0, 1, 2],
        [0],
    ]
    for level, home in enumerate([(5, 3), (2, 1), (1, 0)]):
        assert home in [(row, column) for _, at, _, row, column in found if at == level]


def test_every_pair_scores_one():
    assert (assign([square(28, 44, 40.0)]).score == 1).all()


def test_no_object():
    pairs = assign([])
    assert pairs.place.shape == pairs.object.shape == pairs.score.shape == (0,)
    assert pairs.place.dtype == pairs.object.dtype == torch.int64


def test_a_head_without_anchors_is_refused():
    grid = Grid((8,), ((8, 8),), CPU)
    with pytest.raises(ConfigError, match="anchors, and this head has none"):
        registry.make("ratio", "assigner")(objects([square(9, 9)]), grid, never)


coordinate = st.floats(0, 128, width=32)
some_boxes = st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=12).map(
    lambda boxes: [[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in boxes]
)


@given(boxes=some_boxes, data=st.data())
def test_order_does_not_matter(boxes, data):
    order = data.draw(st.permutations(range(len(boxes))))
    first, second = where(assign(boxes)), where(assign([boxes[i] for i in order]))
    assert first == sorted((order[index], *rest) for index, *rest in second)


@given(boxes=some_boxes)
def test_places_are_in_range_and_within_reach(boxes):
    for index, level, _, row, column in where(assign(boxes)):
        stride, (height, width) = THREE_LEVELS.strides[level], THREE_LEVELS.sizes[level]
        assert 0 <= row < height
        assert 0 <= column < width
        x, y = (boxes[index][0] + boxes[index][2]) / 2, (boxes[index][1] + boxes[index][3]) / 2
        if x <= 96 and y <= 128:
            assert -0.5 <= x / stride - column <= 1.5  # what 2 sigmoid - 0.5 can say
            assert -0.5 <= y / stride - row <= 1.5


@given(boxes=some_boxes)
def test_no_place_is_paired_twice_with_one_object(boxes):
    found = where(assign(boxes))
    assert len(found) == len(set(found))


@pytest.mark.parametrize("args", [{"ratio": 1.0}, {"offset": 0.6}, {"offset": -0.1}])
def test_senseless_arguments_are_refused(args):
    with pytest.raises(ConfigError, match=next(iter(args))):
        registry.make("ratio", "assigner", **args)
