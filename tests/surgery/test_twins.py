"""A part's name finds modules of other libraries that compute the same."""

import pytest
import timm.layers.activations as theirs
import torch
from torch import nn
from torch.nn import functional as F

from ablab import surgery
from ablab.surgery.select import select


class Counting(nn.Module):
    """SiLU that remembers how often it ran."""

    runs = 0

    def forward(self, x):
        self.runs += 1
        return F.silu(x)


class Blurred(nn.Module):
    def forward(self, x):
        return F.silu(F.avg_pool2d(x, 3, 1, 1))


class Noisy(nn.Module):
    def forward(self, x):
        return F.silu(x) + torch.rand_like(x)


class Learned(nn.Module):
    """SiLU with a weight, which another part would lose."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.slope * F.silu(x)


@pytest.mark.parametrize(
    ("kind", "module"),
    [
        ("silu", theirs.Swish()),
        ("silu", theirs.Swish(inplace=True)),
        ("mish", theirs.Mish()),
        ("gelu", theirs.GELU()),
        ("gelu", theirs.GELUTanh()),
        ("hardswish", theirs.HardSwish()),
        ("hardsigmoid", theirs.HardSigmoid()),
        ("sigmoid", theirs.Sigmoid()),
        ("tanh", theirs.Tanh()),
        ("silu", Counting()),
    ],
    ids=lambda value: getattr(value, "__class__", value).__name__ if isinstance(value, nn.Module) else value,
)
def test_what_computes_the_same_is_found(kind, module):
    model = nn.Sequential(nn.Identity(), module)
    assert select(model, surgery.remove(of=kind)) == ["1"]


@pytest.mark.parametrize("module", [Blurred(), Noisy(), Learned(), nn.Dropout(), theirs.QuickGELU(), nn.Sequential()])
def test_what_computes_something_else_is_not(module):
    model = nn.Sequential(nn.Identity(), module)
    for kind in ("silu", "gelu", "relu"):
        assert select(model, surgery.remove(of=kind)) == []


def test_looking_for_twins_leaves_no_trace():
    model, state = nn.Sequential(Counting(), Noisy()), torch.get_rng_state()
    select(model, surgery.remove(of="silu"))
    assert model[0].runs == 0
    assert torch.equal(torch.get_rng_state(), state)
