"""Pictures: what they measure against what is known, and that each slot has one."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ablab import registry
from ablab.catalogue import card
from ablab.catalogue.photograph import BOXES, features, photograph
from ablab.catalogue.pictures import losses, maps, picture, weights
from ablab.registry import Entry
from ablab.surgery.specimen import specimen

ONE = {  # a part of each slot, and those whose picture has something of its own
    "activation": ("frelu",),
    "attention": ("cbam", "nl"),
    "norm": ("in",),
    "conv": ("dilated",),
    "upsample": ("nearest",),
    "dropout": ("dropblock",),
    "wrapper": ("residual",),
    "backbone": ("timm",),
    "box_loss": ("iou",),
    "class_loss": ("ce",),
    "distribution_loss": ("dfl",),
    "assigner": ("ratio", "task-aligned"),
    "augmentation": ("cutout",),
    "initialisation": ("orthogonal",),
    "optimizer": ("lbfgs",),
    "sampler": ("oversample",),
}


def build(reference: str) -> nn.Module:
    module: nn.Module = specimen(registry.get(reference)).build()
    return module.eval()


@pytest.mark.parametrize(("slot", "name"), [(slot, name) for slot, all in ONE.items() for name in all])
def test_each_slot_has_a_picture_that_comes_out_the_same_twice(slot: str, name: str) -> None:
    entry = registry.get(name, slot)
    png = picture(entry, card(entry))
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        assert image.width == 1440
        pixels = np.asarray(image.convert("L"))
    inked = (pixels < 235).mean(axis=1)
    assert inked[pixels.shape[0] // 4 : -pixels.shape[0] // 4].mean() > 0.01, "nothing in the middle"
    if slot in ("dropout", "initialisation"):
        assert picture(entry, card(entry)) == png


def test_every_slot_is_drawn() -> None:
    assert set(ONE) == set(registry.SLOTS)


def test_features_are_64_standardised_maps_of_a_photograph() -> None:
    x = features(48)
    assert x.shape == (1, 64, 48, 48)
    assert torch.allclose(x.mean(dim=(2, 3)), torch.zeros(1, 64), atol=1e-4)
    assert torch.allclose(x.std(dim=(2, 3)), torch.ones(1, 64), atol=1e-3)
    assert photograph().shape == (400, 600, 3)
    assert (BOXES >= 0).all()
    assert (BOXES <= [600, 400, 600, 400]).all()


@pytest.mark.parametrize(
    ("part", "places"),
    [("activation/silu", 1), ("conv/pointwise", 1), ("conv/conv", 9), ("conv/dilated", 9), ("attention/se", 48 * 48)],
)
def test_a_cell_sees_what_its_part_reaches(part: str, places: int) -> None:
    assert int((maps._seen(build(part), features(48)) > 0).sum()) == places


def test_a_gate_is_read_off_its_output() -> None:
    x, gate = features(32), torch.rand(1, 64, 1, 1)
    assert torch.allclose(maps._factor(x, gate * x, 2, 3), gate[:, :, 0, 0], atol=1e-5)
    place = torch.rand(1, 1, 32, 32)
    assert torch.allclose(maps._factor(x, place * x, 1), place[:, 0], atol=1e-5)


def test_the_slope_of_iou_along_a_shift_is_the_analytic_one() -> None:
    """Shifted by s sides: IoU = (1 - s) / (1 + s), so the loss's slope is 2 / (1 + s)^2, and 0 where they are apart."""
    at = torch.tensor([0.25, 0.5, 1.5], dtype=torch.float64)
    value, slope = losses._along(specimen(registry.get("box_loss/iou")).build(), at, losses._shifted)
    assert torch.allclose(value, torch.tensor([0.4, 2 / 3, 1.0], dtype=torch.float64))
    assert torch.allclose(slope, torch.tensor([1.28, 8 / 9, 0.0], dtype=torch.float64))


def test_the_slope_of_bce_over_the_logit_is_p_minus_t() -> None:
    at, _, slope = losses._over_logits(specimen(registry.get("class_loss/bce")).build(), 0.7, softmax=False)
    assert torch.allclose(slope, at.sigmoid() - 0.7, atol=1e-5)
    at, value, _ = losses._over_logits(specimen(registry.get("class_loss/ce")).build(), 1.0, softmax=True)
    assert torch.allclose(value, -at.sigmoid().log(), atol=1e-5)  # two classes: softmax is a sigmoid


def test_gradient_descent_takes_its_first_step_down_the_valley() -> None:
    x, y = torch.tensor(weights.START, requires_grad=True)
    slope = torch.autograd.grad(weights._valley(x, y), (x, y))
    way, seen = weights._descent(specimen(registry.get("sgd", "optimizer")), 1e-4)
    expected = np.array(weights.START) - 1e-4 * 1.9 * np.array([float(each) for each in slope])  # nesterov, 0.9
    assert way[1] == pytest.approx(expected, rel=1e-4)
    assert seen[0] == pytest.approx((1 + 1.6) ** 2 + 10 * (1.7 - 1.6**2) ** 2, rel=1e-5)


def test_a_kaiming_signal_keeps_its_size_through_relus_and_a_xavier_one_does_not() -> None:
    kaiming, xavier = (
        weights._depth(specimen(registry.get(name, "initialisation")), torch.relu) for name in ("kaiming", "xavier")
    )
    assert 0.1 < kaiming[-1] < 10
    assert xavier[-1] < 1e-3


def test_a_part_that_cannot_be_built_is_no_picture() -> None:
    class Needy(nn.Module):
        def __init__(self, mode: str) -> None:
            super().__init__()

    entry = Entry("activation", "needy", Needy)
    with pytest.raises(AssertionError, match="'mode' has no default"):
        picture(entry, card(entry))
