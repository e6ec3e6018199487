"""The anchor-free criterion against a slow reference written with loops, hand-made cases and limiting cases."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torchvision.ops import complete_box_iou_loss
from two_heads import ANCHOR_FREE, BINS, SIZES, STRIDES

from ablab import registry
from ablab.errors import ConfigError
from ablab.tasks.detection.assigners import Assignment, Grid, Objects, Predictions
from ablab.tasks.detection.heads import AnchorFreeHead

criterion, maps, truth = ANCHOR_FREE.criterion, ANCHOR_FREE.maps, ANCHOR_FREE.truth
GRID = Grid(STRIDES, SIZES, torch.device("cpu"))
GAINS = {"box": 7.5, "distribution": 1.5, "classification": 0.5}


def reference(raw, boxes, labels, images, classes=3, smoothing=0.0):
    """The same in loops and float64, place by place; the assigner has tests of its own."""
    flat = torch.cat([y.detach().double().flatten(2) for y in raw], dim=2).transpose(1, 2)  # (B, N, 4 * bins + C)
    centres = GRID.centres().double()
    spread = flat[..., : 4 * BINS].unflatten(-1, (4, BINS))
    cells = (spread.softmax(dim=-1) * torch.arange(BINS)).sum(dim=-1) * GRID.pitch()
    said = torch.cat((centres - cells[..., :2], centres + cells[..., 2:]), dim=-1)
    scores = flat[..., 4 * BINS :].sigmoid()
    assigner = registry.make("task-aligned", "assigner")
    pairs = assigner(Objects(boxes, labels, images), GRID, lambda: Predictions(said.float(), scores.float()))
    target, box, distribution = torch.zeros_like(scores), 0.0, 0.0
    for place, index, score in zip(pairs.place.tolist(), pairs.object.tolist(), pairs.score.tolist(), strict=True):
        image, wanted = int(images[index]), boxes[index].double()
        box += score * float(complete_box_iou_loss(said[image, place], wanted))
        (x, y), stride = centres[place].tolist(), float(GRID.pitch()[place])
        x1, y1, x2, y2 = wanted.tolist()
        for side, pixels in enumerate((x - x1, y - y1, x2 - x, y2 - y)):
            distance = min(max(pixels / stride, 0), BINS - 1)
            low = min(math.floor(distance), BINS - 2)
            costs = [float(cross_entropy(spread[image, place, side], torch.tensor(low + k))) for k in (0, 1)]
            distribution += score / 4 * ((low + 1 - distance) * costs[0] + (distance - low) * costs[1])
        target[image, place] = smoothing / 2
        target[image, place, labels[index]] = score * (1 - smoothing) + smoothing / 2
    total = max(float(pairs.score.sum()), 1.0)
    classification = float(binary_cross_entropy_with_logits(flat[..., 4 * BINS :], target, reduction="sum"))
    sums = {"box": box, "distribution": distribution, "classification": classification}
    return {name: GAINS[name] * value / total for name, value in sums.items()}


@pytest.mark.parametrize("count", [0, 1, 6, 25])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_the_reference(count, smoothing):
    raw, objects = maps(), truth(count)
    loss, parts = criterion(label_smoothing=smoothing)(raw, *objects)
    expected = reference(raw, *objects, smoothing=smoothing)
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(expected, rel=2e-4, abs=1e-6)
    assert loss.item() == pytest.approx(sum(expected.values()), rel=2e-4)
    assert not any(part.requires_grad for part in parts.values())


def test_a_perfect_prediction_by_hand():
    """One object of 16 x 16 in the middle of level 1's cell (0, 0), half a cell away from each side; all weight on it.

    Bins 0 and 1 share the mass, so the mean is 0.5 and the box is right: no box loss, DFL ln 2. Nothing else scores.
    """
    raw = [torch.full((1, 4 * BINS + 1, *size), -50.0) for size in SIZES]
    cell = raw[1][0, :, 0, 0]
    for side in range(4):
        cell[side * BINS : side * BINS + 2] = 50.0
    cell[-1] = 50.0
    box = torch.tensor([[0.0, 0, 16, 16]])
    _, parts = criterion(classes=1)(raw, box, torch.tensor([0]), torch.tensor([0]))
    assert parts["box"].item() == pytest.approx(0, abs=1e-5)
    assert parts["distribution"].item() == pytest.approx(1.5 * math.log(2), rel=1e-4)
    assert parts["classification"].item() == pytest.approx(0, abs=1e-4)


def test_gains_multiply():
    raw, objects = maps(), truth()
    _, once = criterion()(raw, *objects)
    _, twice = criterion(box_gain=15.0, distribution_gain=6.0, classification_gain=0.25)(raw, *objects)
    for name, factor in (("box", 2), ("distribution", 4), ("classification", 0.5)):
        assert twice[name].item() == pytest.approx(factor * once[name].item(), rel=1e-5)


def test_order_of_the_objects_does_not_matter_to_the_bit():
    raw, objects = maps(), truth(25)
    order = torch.randperm(25, generator=torch.Generator().manual_seed(1))
    one, _ = criterion()(raw, *objects)
    other, _ = criterion()(raw, *(x[order] for x in objects))
    assert other.item() == one.item()


def test_memory_format_does_not_matter():
    raw, objects = maps(), truth(25)
    last = [y.detach().contiguous(memory_format=torch.channels_last) for y in raw]
    assert criterion()(last, *objects)[0].item() == criterion()(raw, *objects)[0].item()


def test_without_any_box_the_class_branch_learns_and_no_gradient_is_missing():
    head = AnchorFreeHead((4, 8, 16), 3, BINS, STRIDES)
    raw = head([torch.randn(2, c, *size) for c, size in zip((4, 8, 16), SIZES, strict=True)])
    loss, parts = criterion()(raw, torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0).long())
    loss.backward()
    assert loss.isfinite()
    assert parts["box"] == parts["distribution"] == 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    assert all(p.grad.abs().sum() > 0 for p in head.labels.parameters())


@pytest.mark.parametrize("bin_", [0, BINS - 1])
def test_a_box_without_area_has_finite_gradients(bin_):
    """All weight on the first bin is a box of no size at all."""
    raw = [torch.zeros(2, 4 * BINS + 3, *size) for size in SIZES]
    for y in raw:
        y[:, bin_ : 4 * BINS : BINS] = 1e3
        y.requires_grad_()
    loss, _ = criterion()(raw, *truth())
    loss.backward()
    assert loss.isfinite()
    assert all(y.grad.isfinite().all() for y in raw)


def test_a_place_shared_by_two_objects_wants_both_classes():
    """With a user's assigner that gives the first place to everything, at scores 1 and 0.5."""
    raw = [torch.zeros(1, 4 * BINS + 2, *size) for size in SIZES]
    boxes, nil = torch.tensor([[0.0, 0, 20, 20], [0, 0, 30, 30]]), torch.zeros(2).long()
    _, parts = criterion(2, assigner=f"{__name__}:first_place")(raw, boxes, torch.tensor([0, 1]), nil)
    assert parts["classification"].item() == pytest.approx(0.5 * 2 * 126 * math.log(2) / 1.5, rel=1e-5)


def first_place():
    def assign(objects, grid, predict):
        return Assignment(torch.zeros(2).long(), torch.arange(2), torch.tensor([1.0, 0.5]))

    return assign


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"objectness": "focal"}, "loss.objectness would do nothing: the head is 'anchor-free'"),
        ({"balance": [1, 1, 1], "objectness_gain": 2.0}, "loss.balance and loss.objectness_gain would do nothing"),
        ({"assigner": "ratio"}, "compares objects with anchors, and this head has none"),
    ],
)
def test_what_the_head_has_no_use_for_is_refused(recipe, words):
    with pytest.raises(ConfigError, match=words):
        criterion(**recipe)(maps(), *truth())
