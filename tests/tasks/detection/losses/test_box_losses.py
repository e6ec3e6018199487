"""Box losses against hand-computed numbers, torchvision's pairwise measures, formulas in loops and limiting cases."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import ops

from ablab import registry, testing
from ablab.errors import ConfigError, UnknownName
from ablab.tasks.detection.losses.box import paired_iou

NAMES = ["ciou", "diou", "eiou", "giou", "iou", "siou", "smooth-l1", "wiou"]
CHECKS = [check for name in NAMES for check in testing.checks("box_loss", name)]
PAIRWISE = {
    "iou": ops.box_iou,
    "giou": ops.generalized_box_iou,
    "diou": ops.distance_box_iou,
    "ciou": ops.complete_box_iou,
}
A, B = torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 1.0, 3.0, 3.0]])

corner, side = st.floats(-50, 50), st.floats(1, 80)
box = st.tuples(corner, corner, side, side).map(lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]])
pairs = st.lists(st.tuples(box, box), min_size=1, max_size=8)


def make(name, **args):
    return registry.make(name, "box_loss", **args)


def test_the_slot_is_filled():
    assert registry.names("box_loss") == NAMES


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_every_box_loss_keeps_the_contract(check):
    check()


def test_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'ciou'"):
        registry.make("cious", "box_loss")


def test_no_argument_is_swallowed():
    with pytest.raises(ConfigError, match="takes no 'eps'"):
        registry.make("ciou", "box_loss", eps=1e-3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("iou", 1 - 1 / 7),
        ("giou", 1 - 1 / 7 + 2 / 9),  # union 7 of an enclosing 9
        ("diou", 1 - 1 / 7 + 2 / 18),  # centres sqrt(2) apart, diagonal sqrt(18)
        ("ciou", 1 - 1 / 7 + 2 / 18),  # equal aspects
        ("eiou", 1 - 1 / 7 + 2 / 18),  # equal sides
        ("siou", 1 - 1 / 7 + (1 - math.exp(-1 / 9))),  # at 45 degrees the angle is 1; gaps are 1 of 3; equal sides
        ("wiou", (1 - 1 / 7) * math.exp(2 / 18)),
        ("smooth-l1", 4 * (1 / 2 - 1 / 18)),  # each edge is half a side off; less half of beta
    ],
)
def test_two_squares_by_hand(name, expected):
    torch.testing.assert_close(registry.make(name, "box_loss")(A, B), torch.tensor([expected]))


def test_ciou_of_unequal_aspects_by_hand():
    wide, tall = torch.tensor([[-2.0, -1.0, 2.0, 1.0]]), torch.tensor([[-1.0, -2.0, 1.0, 2.0]])
    iou, v = 4 / 12, 4 / math.pi**2 * (math.atan(0.5) - math.atan(2)) ** 2
    expected = 1 - iou + v * v / (1 - iou + v)
    torch.testing.assert_close(registry.make("ciou", "box_loss")(wide, tall), torch.tensor([expected]))


@pytest.mark.parametrize("name", PAIRWISE)
@given(pairs=pairs)
def test_equals_the_diagonal_of_torchvisions_pairs(name, pairs):
    a, b = (torch.tensor([pair[i] for pair in pairs], dtype=torch.float64) for i in (0, 1))
    torch.testing.assert_close(
        registry.make(name, "box_loss")(a, b), 1 - PAIRWISE[name](a, b).diagonal(), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", NAMES)
@given(box=box)
def test_zero_at_identity(name, box):
    boxes = torch.tensor([box])
    assert registry.make(name, "box_loss")(boxes, boxes).abs().max() < 1e-5


def by_loops(name, box, other):
    """The papers' formulas of one pair, in plain numbers."""
    w, h, w2, h2 = box[2] - box[0], box[3] - box[1], other[2] - other[0], other[3] - other[1]
    shared = max(min(box[2], other[2]) - max(box[0], other[0]), 0) * max(
        min(box[3], other[3]) - max(box[1], other[1]), 0
    )
    iou = shared / (w * h + w2 * h2 - shared)
    wide, tall = max(box[2], other[2]) - min(box[0], other[0]), max(box[3], other[3]) - min(box[1], other[1])
    dx, dy = (box[0] + box[2] - other[0] - other[2]) / 2, (box[1] + box[3] - other[1] - other[3]) / 2
    if name == "eiou":
        return 1 - iou + (dx**2 + dy**2) / (wide**2 + tall**2) + (w - w2) ** 2 / wide**2 + (h - h2) ** 2 / tall**2
    if name == "wiou":
        return (1 - iou) * math.exp((dx**2 + dy**2) / (wide**2 + tall**2))
    if name == "siou":
        sine = min(abs(dy) / math.hypot(dx, dy), 1) if dx or dy else 0
        gamma = 1 + 2 * math.sin(math.asin(sine) - math.pi / 4) ** 2
        distance = sum(1 - math.exp(-gamma * (d / side) ** 2) for d, side in ((dx, wide), (dy, tall)))
        shape = sum((1 - math.exp(-abs(a - b) / max(a, b))) ** 4 for a, b in ((w, w2), (h, h2)))
        return 1 - iou + (distance + shape) / 2
    errors = [abs(box[i] - other[i]) / (w2, h2)[i % 2] for i in range(4)]
    return sum(e * e / 2 * 9 if e < 1 / 9 else e - 1 / 18 for e in errors)


@pytest.mark.parametrize("name", ["eiou", "siou", "smooth-l1", "wiou"])
@given(pairs=pairs)
def test_equals_the_formula_in_loops(name, pairs):
    a, b = (torch.tensor([pair[i] for pair in pairs], dtype=torch.float64) for i in (0, 1))
    expected = torch.tensor([by_loops(name, *pair) for pair in pairs], dtype=torch.float64)
    torch.testing.assert_close(make(name)(a, b), expected, rtol=1e-6, atol=1e-6)


def test_siou_weighs_the_distance_most_where_centres_are_level():
    """Against the paper's words, as its formula has it: exponents of 2 g^2 level, and of g^2 each at 45 degrees."""
    here = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    level, slanted = (make("siou")(here, here + torch.tensor(s * 2)).item() - 1 for s in ([20.0, 0.0], [20.0, 20.0]))
    assert level == pytest.approx((1 - math.exp(-2 * (20 / 30) ** 2)) / 2)
    assert slanted == pytest.approx((1 - math.exp(-((20 / 30) ** 2))) / 2 * 2)


@given(box=box, other=box)
def test_wiou_of_boxes_with_one_centre_is_the_iou_loss(box, other):
    boxes, there = (torch.tensor([b], dtype=torch.float64) for b in (box, other))
    middle = (there[:, :2] + there[:, 2:] - boxes[:, :2] - boxes[:, 2:]).repeat(1, 2) / 2
    torch.testing.assert_close(make("wiou")(boxes + middle, there), make("iou")(boxes + middle, there))


@given(box=box, shift=st.tuples(corner, corner))
def test_eiou_of_equal_sides_is_diou(box, shift):
    boxes = torch.tensor([box], dtype=torch.float64)
    there = boxes + torch.tensor(shift * 2, dtype=torch.float64)
    torch.testing.assert_close(make("eiou")(boxes, there), make("diou")(boxes, there), rtol=1e-5, atol=1e-5)


@given(box=box, edges=st.tuples(*[st.floats(-1, 1)] * 4))
def test_smooth_l1_without_beta_is_the_iou_loss_to_first_order(box, edges):
    target, step = torch.tensor([box], dtype=torch.float64), 1e-5
    boxes = target + step * torch.tensor(edges)
    torch.testing.assert_close(
        make("smooth-l1", beta=0.0)(boxes, target) / step, make("iou")(boxes, target) / step, rtol=0, atol=1e-3
    )


def test_smooth_l1_of_a_target_below_a_pixel_counts_in_pixels():
    flat = torch.tensor([[5.0, 5.0, 5.0, 15.0]])  # no width
    assert make("smooth-l1", beta=0.0)(flat + torch.tensor([0.0, 0, 2, 0]), flat).item() == 2


@pytest.mark.parametrize(("name", "args"), [("smooth-l1", {"beta": -1.0}), ("siou", {"theta": 0.5})])
def test_senseless_arguments_are_refused(name, args):
    with pytest.raises(ConfigError, match=next(iter(args))):
        make(name, **args)


# ciou holds its alpha constant on purpose, wiou the box around both
@pytest.mark.parametrize("name", ["diou", "eiou", "giou", "iou", "siou", "smooth-l1"])
def test_gradient_is_the_numerical_one(name):
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(6, 2, generator=generator, dtype=torch.float64) * 4
    boxes = torch.cat((low, low + 1 + torch.rand(6, 2, generator=generator, dtype=torch.float64)), dim=1)
    targets = boxes + torch.rand(6, 4, generator=generator, dtype=torch.float64) * 0.7 + 0.05
    assert torch.autograd.gradcheck(registry.make(name, "box_loss"), (boxes.requires_grad_(), targets))


@pytest.mark.parametrize("name", NAMES)
def test_low_precision_is_raised_to_float32(name):
    assert registry.make(name, "box_loss")(A.bfloat16(), B.bfloat16()).dtype == torch.float32


def test_paired_iou_of_boxes_without_area_is_zero():
    assert paired_iou(torch.ones(1, 4), torch.ones(1, 4)).item() == 0
