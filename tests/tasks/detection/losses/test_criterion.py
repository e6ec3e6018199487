"""The criterion against a slow reference written with loops, hand-made cases and limiting cases."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.ops import complete_box_iou_loss
from two_heads import ANCHOR, ANCHORS, SIZES, STRIDES

from ablab import registry
from ablab.errors import ConfigError, UnknownName
from ablab.tasks.detection.assigners import Assignment, Objects
from ablab.tasks.detection.grid import Grid
from ablab.tasks.detection.heads import AnchorHead
from ablab.tasks.detection.losses.criterion import Criterion
from ablab.tasks.detection.recipe import LossRecipe

criterion, maps, truth = ANCHOR.criterion, ANCHOR.maps, ANCHOR.truth


def grid():
    return Grid(STRIDES, SIZES, torch.device("cpu"), ANCHORS)


def reference(raw, boxes, labels, images, classes=3, gains=(0.05, 1.0, 0.5), balance=(4.0, 1.0, 0.4)):
    """The same in loops and float64, place by place."""
    pairs = registry.make("ratio", "assigner")(Objects(boxes, labels, images), grid(), None)
    sums = [0.0, 0.0, 0.0]
    for level, y in enumerate(raw):
        y = y.detach().double().unflatten(1, (3, -1)).permute(0, 1, 3, 4, 2)  # (B, A, H, W, 5 + C)
        box, cls, target = [], [], torch.zeros(y.shape[:-1], dtype=torch.float64)
        for place, index in zip(pairs.place.tolist(), pairs.object.tolist(), strict=True):
            cell, anchor = divmod(place - grid().starts[level], 3)
            row, column = divmod(cell, SIZES[level][1])
            if not 0 <= cell < SIZES[level][0] * SIZES[level][1]:
                continue
            image, wanted, label = images[index], boxes[index].double(), labels[index]
            z = y[image, anchor, row, column]
            s = z.sigmoid()
            x, w = (2 * s[0] - 0.5 + column) * STRIDES[level], (2 * s[2]) ** 2 * ANCHORS[level, anchor, 0]
            v, h = (2 * s[1] - 0.5 + row) * STRIDES[level], (2 * s[3]) ** 2 * ANCHORS[level, anchor, 1]
            predicted = torch.stack((x - w / 2, v - h / 2, x + w / 2, v + h / 2))
            box.append(complete_box_iou_loss(predicted, wanted))
            across = (torch.minimum(predicted[2], wanted[2]) - torch.maximum(predicted[0], wanted[0])).clamp(min=0)
            down = (torch.minimum(predicted[3], wanted[3]) - torch.maximum(predicted[1], wanted[1])).clamp(min=0)
            iou = across * down / (w * h + (wanted[2] - wanted[0]) * (wanted[3] - wanted[1]) - across * down)
            target[image, anchor, row, column] = max(target[image, anchor, row, column], iou)
            one_hot = torch.tensor([float(c == label) for c in range(classes)], dtype=torch.float64)
            cls.append(binary_cross_entropy_with_logits(z[5:], one_hot))
        sums[0] += float(sum(box)) / len(box) if box else 0.0
        sums[1] += float(binary_cross_entropy_with_logits(y[..., 4], target)) * balance[level]
        sums[2] += float(sum(cls)) / len(cls) if cls else 0.0
    return [gain * total for gain, total in zip(gains, sums, strict=True)]


@pytest.mark.parametrize("count", [0, 1, 6, 25])
def test_equals_the_reference(count):
    raw, objects = maps(), truth(count)
    loss, parts = criterion()(raw, *objects)
    expected = reference(raw, *objects)
    assert list(parts) == ["box", "objectness", "classification"]
    assert [part.item() for part in parts.values()] == pytest.approx(expected, rel=1e-4, abs=1e-7)
    assert loss.item() == pytest.approx(sum(expected), rel=1e-4)
    assert not any(part.requires_grad for part in parts.values())


def test_a_perfect_box_by_hand():
    """Zero logits put the 30 x 61 anchor of level 1 in the middle of its cell; objectness and classes cost ln 2."""
    raw = [torch.zeros(1, 24, h, w) for h, w in SIZES]
    x, y = 2.5 * 16, 1.5 * 16
    box = torch.tensor([[x - 15, y - 30.5, x + 15, y + 30.5]])
    assigner = {"part": "ratio", "args": {"ratio": 1.2}}
    _, parts = criterion(assigner=assigner)(raw, box, torch.tensor([1]), torch.tensor([0]))
    assert parts["box"].item() == pytest.approx(0, abs=1e-6)
    assert parts["objectness"].item() == pytest.approx(5.4 * math.log(2))
    assert parts["classification"].item() == pytest.approx(0.5 * math.log(2))


def test_gains_and_balance_multiply():
    raw, objects = maps(), truth()
    _, once = criterion()(raw, *objects)
    _, twice = criterion(
        box_gain=0.1, objectness_gain=2.0, classification_gain=1.0, balance=[8.0, 2.0, 0.8]
    )(raw, *objects)  # fmt: skip
    for name, factor in (("box", 2), ("objectness", 4), ("classification", 2)):
        assert twice[name].item() == pytest.approx(factor * once[name].item(), rel=1e-5)


def test_a_place_shared_by_two_objects_aims_at_the_higher_iou():
    """With saturated logits everywhere else, objectness is the cross-entropy of one place at logit 0.5."""
    raw = [torch.zeros(1, 24, h, w) for h, w in SIZES]
    for y in raw:
        y[:, 4::8] = -100.0
    raw[0][0, 4, 2, 3] = 0.5
    centre = torch.tensor([3.5 * 8, 2.5 * 8])
    sides = torch.tensor([[10.0, 13.0], [10.0, 12.0]])
    boxes = torch.cat((centre - sides / 2, centre + sides / 2), dim=1)
    build = criterion(assigner={"part": "ratio", "args": {"ratio": 1.2}})
    for order in ([0, 1], [1, 0]):
        _, parts = build(raw, boxes[order], torch.zeros(2).long(), torch.zeros(2).long())
        p = 1 / (1 + math.exp(-0.5))
        assert parts["objectness"].item() == pytest.approx(4 * -math.log(p) / (3 * 8 * 12), rel=1e-4)


def test_without_any_box_every_parameter_of_the_head_gets_a_gradient():
    head = AnchorHead((4, 8, 16), 3, ANCHORS, STRIDES)
    raw = head([torch.randn(2, c, h, w) for c, (h, w) in zip((4, 8, 16), SIZES, strict=True)])
    loss, parts = criterion()(raw, torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0).long())
    loss.backward()
    assert loss.isfinite()
    assert parts["box"] == parts["classification"] == 0
    for parameter in head.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0


def test_one_class_has_no_class_loss():
    raw, (boxes, _, images) = maps(classes=1), truth()
    loss, parts = criterion(classes=1)(raw, boxes, torch.zeros(6).long(), images)
    loss.backward()
    assert parts["classification"] == 0
    assert all((y.grad[:, 5::6] == 0).all() and y.grad.abs().sum() > 0 for y in raw)


def test_any_assigner_goes_in():
    """A user's assigner by import string: everything to the first place of the first level."""
    part = {"part": f"{__name__}:first_place"}
    raw, objects = maps(), truth()
    _, parts = criterion(assigner=part)(raw, *objects)
    assert parts["box"] > 0


def first_place():
    def assign(objects, grid, predict):
        count = len(objects.labels)
        return Assignment(torch.zeros(count).long(), torch.arange(count), torch.ones(count))

    return assign


def test_wrong_recipes_are_refused():
    with pytest.raises(UnknownName, match="unknown class loss 'focall'; did you mean 'focal'"):
        criterion(classification="focall")
    with pytest.raises(ConfigError, match=r"class_loss/focal takes no 'gama'; did you mean 'gamma'"):
        criterion(classification={"part": "focal", "args": {"gama": 1}})
    with pytest.raises(ConfigError, match=r"balance has 3 numbers, the head 2 levels"):
        Criterion.of(LossRecipe(), STRIDES[:2], 3, anchors=ANCHORS[:2])
