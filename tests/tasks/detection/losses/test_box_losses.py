"""Box losses against hand-computed numbers, torchvision's pairwise measures and the slot's contract."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import ops

from ablab import registry
from ablab.errors import ConfigError, UnknownName
from ablab.tasks.detection.losses.box import paired_iou

NAMES = ["ciou", "diou", "giou", "iou"]
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


def test_the_slot_is_filled():
    assert registry.names("box_loss") == NAMES


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
    ],
)
def test_two_squares_by_hand(name, expected):
    torch.testing.assert_close(registry.make(name, "box_loss")(A, B), torch.tensor([expected]))


def test_ciou_of_unequal_aspects_by_hand():
    wide, tall = torch.tensor([[-2.0, -1.0, 2.0, 1.0]]), torch.tensor([[-1.0, -2.0, 1.0, 2.0]])
    iou, v = 4 / 12, 4 / math.pi**2 * (math.atan(0.5) - math.atan(2)) ** 2
    expected = 1 - iou + v * v / (1 - iou + v)
    torch.testing.assert_close(registry.make("ciou", "box_loss")(wide, tall), torch.tensor([expected]))


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize("name", NAMES)
def test_gradient_of_disjoint_boxes_unless_declared_flat(name):
    entry = registry.get(name, "box_loss")
    boxes = A.clone().requires_grad_()
    entry.build()(boxes, A + 10).sum().backward()
    assert bool(boxes.grad.abs().sum() > 0) is not entry.traits.get("flat_when_disjoint", False)


@pytest.mark.parametrize("name", NAMES)
def test_no_box_stays_in_the_graph(name):
    boxes = torch.zeros(0, 4, requires_grad=True)
    loss = registry.make(name, "box_loss")(boxes, torch.zeros(0, 4))
    assert loss.shape == (0,)
    loss.sum().backward()
    assert boxes.grad.shape == (0, 4)


@pytest.mark.parametrize("name", ["diou", "giou", "iou"])  # ciou holds its alpha constant on purpose
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
