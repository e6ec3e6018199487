"""The task-aligned assigner against an example worked out by hand and a slow one written with loops."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou

from ablab import registry
from ablab.errors import ConfigError
from ablab.tasks.detection.assigners import Grid, Objects, Predictions

CPU = torch.device("cpu")
ROW = Grid((8,), ((1, 4),), CPU)  # centres at x = 4, 12, 20, 28 and y = 4
GRID = Grid((8, 16, 32), ((8, 12), (4, 6), (2, 3)), CPU)  # 64 x 96 pixels, 126 places


def objects(boxes, labels, images=None):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    images = [0] * len(boxes) if images is None else images
    return Objects(boxes, torch.tensor(labels).long(), torch.tensor(images).long())


def rows(pairs, digits=5):
    return sorted(
        (place, index, round(score, digits))
        for place, index, score in zip(pairs.place.tolist(), pairs.object.tolist(), pairs.score.tolist(), strict=True)
    )


def assign(found, grid, boxes, scores, **args):
    said = Predictions(torch.as_tensor(boxes).float(), torch.as_tensor(scores).float())
    return registry.make("task-aligned", "assigner", **args)(found, grid, lambda: said)


def test_two_objects_and_four_places_by_hand():
    """A = [0, 0, 16, 8] holds the centres 0 and 1, B = [0, 0, 24, 8] the centres 0, 1 and 2; alpha 1, beta 2, topk 2.

    place  box predicted   score A  IoU A   t A       score B  IoU B   t B
    0      [0, 0, 16, 8]   0.5      1       0.5       0.9      2/3     0.4
    1      [0, 0, 24, 8]   0.4      2/3     0.17778   0.5      1       0.5
    2      [8, 0, 24, 8]   -        -       -         0.9      2/3     0.4
    Of B's three, 1 is best, and 0 and 2 are equal: the first, 0, stays. Both want 0 and 1: by IoU 0 goes to A and 1 to
    B. A's highest t is 0.5 and its highest IoU 1, so it scores 1; B the same.
    """
    found = objects([[0, 0, 16, 8], [0, 0, 24, 8]], [0, 1])
    boxes = [[[0, 0, 16, 8], [0, 0, 24, 8], [8, 0, 24, 8], [0, 0, 16, 8]]]
    scores = [[[0.5, 0.9], [0.4, 0.5], [0.9, 0.9], [1.0, 1.0]]]
    pairs = assign(found, ROW, boxes, scores, alpha=1.0, beta=2.0, topk=2)
    assert rows(pairs) == [(0, 0, 1.0), (1, 1, 1.0)]


def test_scores_are_scaled_to_the_highest_iou_by_hand():
    """One object, two places: t is 0.8 * 0.5 and 0.2 * 1; the larger, 0.4, becomes 1 (the highest IoU), 0.2 a half."""
    boxes = [[[0, 0, 16, 4], [0, 0, 16, 8], [0, 0, 1, 1], [0, 0, 1, 1]]]
    pairs = assign(objects([[0, 0, 16, 8]], [0]), ROW, boxes, [[[0.8], [0.2], [0], [0]]], alpha=1.0, beta=1.0)
    assert rows(pairs) == [(0, 0, 1.0), (1, 0, 0.5)]


def test_only_places_inside_the_box():
    """However well a place outside predicts."""
    boxes = [[[8, 0, 24, 8]] * 4]
    pairs = assign(objects([[8, 0, 24, 8]], [0]), ROW, boxes, torch.ones(1, 4, 1))
    assert pairs.place.tolist() == [1, 2]


def test_a_small_object_is_given_the_cell_that_holds_it():
    """[13, 1, 15, 3] holds no centre; its middle, (14, 2), lies in cell 1 of the finest level, and in no other's."""
    boxes = torch.tensor([[0.0, 0, 24, 8]]).expand(1, 4, 4)
    pairs = assign(objects([[13, 1, 15, 3]], [0]), ROW, boxes, torch.ones(1, 4, 1))
    assert rows(pairs) == [(1, 0, round(4 / 192, 5))]


def test_a_box_without_width_gets_nothing():
    found = objects([[4, 0, 4, 8], [20, 0, 12, 8]], [0, 0])
    assert len(assign(found, ROW, torch.rand(1, 4, 4), torch.ones(1, 4, 1)).place) == 0


def test_no_object():
    pairs = assign(objects([], []), GRID, torch.rand(2, 126, 4), torch.rand(2, 126, 3))
    assert pairs.place.shape == pairs.object.shape == pairs.score.shape == (0,)
    assert pairs.place.dtype == pairs.object.dtype == torch.int64


def test_anchors_are_places_of_their_own():
    grid = Grid((8,), ((1, 4),), CPU, torch.ones(1, 2, 2))
    boxes = torch.tensor([8.0, 0, 24, 8]).expand(1, 8, 4)
    pairs = assign(objects([[8, 0, 24, 8]], [0]), grid, boxes, torch.ones(1, 8, 1))
    assert pairs.place.tolist() == [2, 3, 4, 5]


def reference(found, grid, boxes, scores, alpha, beta, topk):
    """Place by place and object by object, in float64."""
    wants = {}
    for m in range(len(found.labels)):
        x1, y1, x2, y2 = (float(v) for v in found.boxes[m])
        image, fits = int(found.images[m]), []
        for n, (x, y) in enumerate(grid.centres().tolist()):
            wide, high = x2 - x1, y2 - y1
            if n < grid.counts[0]:
                wide, high = max(wide, grid.strides[0]), max(high, grid.strides[0])
            if abs(x - (x1 + x2) / 2) <= wide / 2 and abs(y - (y1 + y2) / 2) <= high / 2:
                overlap = float(box_iou(boxes[image, n : n + 1].double(), found.boxes[m : m + 1].double()))
                fits.append((float(scores[image, n, found.labels[m]]) ** alpha * overlap**beta, -n, overlap))
        for fit, n, overlap in sorted(fits, reverse=True)[:topk]:
            wants.setdefault((image, -n), []).append((overlap, -m, fit))
    pairs = [(n, -m, fit, overlap) for (_, n), some in wants.items() for overlap, m, fit in [max(some)]]
    best = {m: max(fit for _, k, fit, _ in pairs if k == m) for m in {m for _, m, _, _ in pairs}}
    high = {m: max(overlap for _, k, _, overlap in pairs if k == m) for m in best}
    return sorted((n, m, fit * high[m] / best[m] if best[m] else 0.0) for n, m, fit, _ in pairs)


def scene(count, seed, images=2):
    """Objects in order of image and label, and predictions near them."""
    draw = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=draw) * torch.tensor([80.0, 50.0])
    boxes = torch.cat((low, low + 2 + 40 * torch.rand(count, 2, generator=draw)), dim=1)
    images = torch.randint(images, (count,), generator=draw)
    labels = torch.randint(3, (count,), generator=draw)
    order = (images * 3 + labels).argsort(stable=True)
    found = Objects(boxes, labels[order], images[order])
    centre = GRID.centres() + 8 * torch.randn(2, 126, 2, generator=draw)
    sides = 2 + 40 * torch.rand(2, 126, 2, generator=draw)
    said = torch.cat((centre - sides / 2, centre + sides / 2), dim=-1), torch.rand(2, 126, 3, generator=draw)
    return found, said


@pytest.mark.parametrize("count", [0, 1, 6, 25])
@pytest.mark.parametrize("args", [(0.5, 6.0, 10), (1.0, 1.0, 3), (0.0, 2.0, 1)])
def test_equals_the_reference(count, args):
    found, said = scene(count, seed=count)
    alpha, beta, topk = args
    pairs = assign(found, GRID, *said, alpha=alpha, beta=beta, topk=topk)
    expected = reference(found, GRID, *said, *args)
    assert [row[:2] for row in rows(pairs)] == [row[:2] for row in expected]
    assert [row[2] for row in rows(pairs)] == pytest.approx([row[2] for row in expected], abs=2e-5)


@settings(deadline=None)
@given(seed=st.integers(0, 99), data=st.data(), tied=st.booleans())
def test_order_does_not_matter(seed, data, tied):
    """Also where predictions are all alike, so that everything is a tie."""
    found, (boxes, scores) = scene(8, seed)
    if tied:
        boxes, scores = torch.tensor([0.0, 0, 96, 64]).expand_as(boxes), torch.full_like(scores, 0.5)
    order = torch.tensor(data.draw(st.permutations(range(8))))
    mixed = Objects(found.boxes[order], found.labels[order], found.images[order])
    one, other = assign(found, GRID, boxes, scores, topk=3), assign(mixed, GRID, boxes, scores, topk=3)
    assert torch.equal(one.place, other.place)
    assert torch.equal(one.object, order[other.object])
    assert torch.equal(one.score, other.score)


@settings(deadline=None)
@given(seed=st.integers(0, 99))
def test_a_place_has_one_object_and_an_object_topk_places_at_most(seed):
    found, said = scene(12, seed)
    pairs = assign(found, GRID, *said, topk=4)
    assert ((pairs.place >= 0) & (pairs.place < GRID.count)).all()
    assert ((pairs.score >= 0) & (pairs.score <= 1)).all()
    at = list(zip(found.images[pairs.object].tolist(), pairs.place.tolist(), strict=True))
    assert len(at) == len(set(at))
    assert pairs.object.bincount().max() <= 4


def test_images_do_not_see_each_other():
    found, said = scene(12, seed=3)
    both = assign(found, GRID, *said)
    first = found.images == 0
    alone = assign(Objects(found.boxes[first], found.labels[first], found.images[first]), GRID, *said)
    assert rows(alone) == [row for row in rows(both) if found.images[row[1]] == 0]


def test_far_out_predictions_give_finite_scores():
    """An IoU of 1e-7 to the power of 6 is below what float32 holds."""
    boxes = torch.tensor([0.0, 0, 1e5, 1e5]).expand(1, 4, 4)
    pairs = assign(objects([[0, 0, 10, 10]], [0]), ROW, boxes, torch.full((1, 4, 1), 1e-9))
    assert pairs.score.isfinite().all()
    assert math.isclose(pairs.score.sum().item(), 0, abs_tol=1e-6)


@pytest.mark.parametrize("args", [{"alpha": -0.1}, {"beta": -1.0}, {"topk": 0}])
def test_senseless_arguments_are_refused(args):
    with pytest.raises(ConfigError, match=next(iter(args))):
        registry.make("task-aligned", "assigner", **args)
