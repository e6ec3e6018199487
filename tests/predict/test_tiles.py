"""Windows, and objects that they cut: each comes out once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rectangles import model, paint
from torchvision.ops import batched_nms, box_iou

from ablab.contracts import Objects
from ablab.predict.tiles import Tiling, join, windows

seeds = st.integers(0, 2**32 - 1)
NOISE = 1.5  # pixels by which a detector's sides are off


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(32, 700), st.floats(0, 0.9))
def test_windows_cover_the_image_and_overlap_enough(height: int, width: int, size: int, overlap: float) -> None:
    places = windows(height, width, Tiling(size, overlap))
    assert places[-1].tolist() == [0, 0, width, height]
    tiles = places[:-1] if len(places) > 1 else places
    assert (tiles[:, :2] >= 0).all()
    assert (tiles[:, 2:] <= [width, height]).all()
    for low, high, side in ((0, 2, width), (1, 3, height)):
        starts, ends = np.unique(tiles[:, low]), np.unique(tiles[:, high])
        assert (starts[0], ends[-1]) == (0, side)
        assert (ends - starts == min(size, side)).all()
        assert (ends[:-1] - starts[1:] >= np.floor(size * overlap) - 1).all(), "neighbours share at least so much"
    assert len(tiles) == len(np.unique(tiles[:, 0])) * len(np.unique(tiles[:, 1]))


def test_a_small_image_is_looked_at_once_and_whole() -> None:
    for tiling in (None, Tiling(100)):
        assert windows(80, 100, tiling).tolist() == [[0, 0, 100, 80]]
    assert len(windows(80, 101, Tiling(100))) == 3


def scene(seed: int, tiling: Tiling, largest: float) -> tuple[int, int, np.ndarray]:
    """Height, width, and objects (n, 4) that do not touch, of sides from 14 pixels to `largest` of a tile."""
    rng = np.random.default_rng(seed)
    cell = int(rng.uniform(30, max(32, largest * tiling.size)))
    height, width = (int(x) for x in rng.integers(max(cell, 200), 1200, 2))
    objects = []
    for top in range(0, height - cell + 1, cell):
        for left in range(0, width - cell + 1, cell):
            w, h = rng.uniform(14, cell - 8, 2)
            x, y = left + rng.uniform(0, cell - w - 6), top + rng.uniform(0, cell - h - 6)
            objects.append([x, y, x + w, y + h])
    return height, width, np.array(objects)


def seen(objects: np.ndarray, places: np.ndarray, seed: int) -> list[Objects]:
    """What a good detector says of each window: the visible part of each object, a little off, slivers not."""
    rng = np.random.default_rng([seed, 1])
    found = []
    for place in places:
        part = np.hstack([np.maximum(objects[:, :2], place[:2]), np.minimum(objects[:, 2:], place[2:])])
        sides = (part[:, 2:] - part[:, :2]).clip(0)
        shown = sides.prod(1) / (objects[:, 2:] - objects[:, :2]).prod(1)
        part = part[(sides.min(1) >= 6) & (shown > 0.1)] - np.tile(place[:2], 2)
        part = part + rng.uniform(-NOISE, NOISE, part.shape)
        scores = np.sort(rng.uniform(0.3, 0.9, len(part)))[::-1]
        found.append(Objects(part, scores, np.zeros(len(part), np.int64)))
    return found


def each_once(joined: Objects, objects: np.ndarray, allowed: int = 0) -> None:
    overlap = box_iou(torch.from_numpy(objects), torch.from_numpy(joined.boxes)).numpy()
    assert (overlap.max(axis=1, initial=0) > 0.6).all(), "an object is missing"
    assert len(joined.scores) <= len(objects) + allowed, "an object came out twice"
    assert (np.diff(joined.scores) <= 0).all()


@settings(max_examples=40, deadline=None)
@given(seed=seeds, size=st.integers(128, 400), overlap=st.floats(0.12, 0.4))
def test_each_object_comes_out_once(seed: int, size: int, overlap: float) -> None:
    """Objects up to the size of a tile, the whole image being looked at as well; of 60,000, one came out twice."""
    tiling = Tiling(size, overlap)
    height, width, objects = scene(seed, tiling, 1.0)
    places = windows(height, width, tiling)
    each_once(join(seen(objects, places, seed), places, tiling, False), objects, allowed=1)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, size=st.integers(128, 400), overlap=st.floats(0.15, 0.4))
def test_parts_alone_become_their_object(seed: int, size: int, overlap: float) -> None:
    """Where the whole image shows nothing, as objects are too small in it: also those larger than the overlap."""
    tiling = Tiling(size, overlap)
    height, width, objects = scene(seed, tiling, 1.5)
    places = windows(height, width, tiling)
    found = seen(objects, places, seed)
    if len(places) > 1:
        found[-1] = Objects(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    each_once(join(found, places, tiling, False), objects, allowed=1)


def objects_of(*rows: tuple[float, ...]) -> Objects:
    """Rows of x1 y1 x2 y2, score, label."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Objects(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def two_windows(left: Objects, right: Objects, agnostic: bool = False) -> Objects:
    """Windows of 100 x 100 that overlap by 20, side by side."""
    places = np.array([[0, 0, 100, 100], [80, 0, 180, 100], [0, 0, 180, 100]])
    return join([left, right, objects_of()], places, Tiling(100, 0.2), agnostic)


def test_a_part_goes_where_a_whole_one_is_even_if_it_scores_more() -> None:
    """An object from 85 to 115: half of it is in the left window."""
    joined = two_windows(objects_of((85, 30, 100, 60, 0.9, 0)), objects_of((5, 30, 35, 60, 0.5, 0)))
    assert joined.boxes.tolist() == [[85, 30, 115, 60]]
    assert joined.scores.tolist() == [0.5]


def test_two_parts_become_one() -> None:
    """An object from 60 to 130, whole in neither; the score is the better part's."""
    joined = two_windows(objects_of((60, 30, 100, 60, 0.7, 0)), objects_of((0, 30, 50, 60, 0.8, 0)))
    assert joined.boxes.tolist() == [[60, 30, 130, 60]]
    assert joined.scores.tolist() == [0.8]


def test_neighbours_that_end_at_the_same_cut_stay_two() -> None:
    """One above the other: what both windows saw of them does not agree."""
    joined = two_windows(objects_of((60, 10, 100, 40, 0.7, 0)), objects_of((0, 50, 50, 90, 0.8, 0)))
    assert len(joined.scores) == 2


def test_labels_are_kept_apart_unless_agnostic() -> None:
    left, right = objects_of((60, 30, 100, 60, 0.7, 0)), objects_of((0, 30, 50, 60, 0.8, 1))
    assert len(two_windows(left, right).scores) == 2
    assert two_windows(left, right, agnostic=True).labels.tolist() == [1]


def test_a_window_compares_its_own_boxes_itself() -> None:
    """Soft suppression leaves neighbours that overlap; joining does not take them away."""
    crowd = objects_of((10, 10, 50, 50, 0.9, 0), (15, 10, 55, 50, 0.6, 0))
    assert len(two_windows(crowd, objects_of()).scores) == 2


@given(seeds)
def test_of_whole_ones_it_is_non_maximum_suppression(seed: int) -> None:
    """Against torchvision, with one box a window, which no window cuts."""
    rng = np.random.default_rng(seed)
    low = np.array([84, 40]) + rng.uniform(0, 4, (2, 2))
    boxes = np.hstack([low, low + rng.uniform(5, 9, (2, 2))])
    scores, labels = rng.uniform(0.1, 1, 2), rng.integers(0, 2, 2)
    one, two = (Objects(boxes[[i]] - [80 * i, 0, 80 * i, 0], scores[[i]], labels[[i]]) for i in (0, 1))
    joined = two_windows(one, two)
    kept = batched_nms(torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(labels), 0.5).numpy()
    np.testing.assert_allclose(joined.boxes, boxes[kept])
    assert joined.labels.tolist() == labels[kept].tolist()


def test_a_large_image_through_a_model() -> None:
    """Small objects that are a pixel in the whole image, and one that is larger than a tile."""
    rng = np.random.default_rng(3)
    small = [[x, y, x + 20, y + 18] for x in range(10, 1900, 150) for y in range(700, 1180, 97)]
    boxes = [*small, [100, 40, 640, 420], [1000, 100, 1090, 190]]
    labels = rng.integers(0, 2, len(boxes)).tolist()
    image = paint(1200, 2000, boxes, labels)
    finder = model(size=128)
    whole = finder(image)
    assert len(whole) < len(boxes)
    result = finder(image, tile=128)
    assert len(result) == len(boxes)
    overlap = box_iou(torch.tensor(boxes).double(), torch.from_numpy(result.boxes)).numpy()
    assert (overlap.max(axis=1) > 0.85).all()
    assert result.labels[overlap.argmax(axis=1)].tolist() == labels


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (129, 128)])
def test_odd_shapes_in_tiles(shape: tuple[int, int]) -> None:
    assert len(model(size=64)(np.zeros((*shape, 3), np.uint8), tile=128)) == 0
