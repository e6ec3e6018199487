"""Trap 8: a module swap misses functional calls (`F.gelu` in a forward)."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ablab import surgery
from ablab.errors import SurgeryError

X = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))


class Half(nn.Module):
    """One GELU as a module, one as a function."""

    def __init__(self):
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 3, 1), nn.GELU()

    def forward(self, x):
        return F.gelu(self.act(self.conv(x))) + F.silu(x)


def test_what_the_swap_misses_is_listed():
    network = nn.Sequential(Half(), Half(), nn.Sequential(nn.Conv2d(3, 3, 1), nn.GELU()))
    _, report = surgery.apply(network, [surgery.replace(of="gelu", part="frelu")], X)
    assert len(report.sites) == 3
    assert report.unreached == ("F.gelu in 0", "F.gelu in 1")


def test_within_narrows_what_is_missed():
    network = nn.Sequential(Half(), Half())
    _, report = surgery.apply(network, [surgery.replace(of="GELU", part="relu", within="1")], X)
    assert report.unreached == ("F.gelu in 1",)


def test_nothing_is_missed_where_all_are_modules():
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.GELU(), nn.Sequential(nn.GELU(), nn.SiLU()))
    _, report = surgery.apply(network, [surgery.replace(of="gelu", part="relu")], X)
    assert report.unreached == ()


class Wrapper(nn.Module):
    """A module of its own kind around the function, as timm has."""

    def forward(self, x):
        return F.gelu(x)


def test_a_module_around_the_function_is_found_by_what_it_does():
    network = nn.Sequential(nn.Conv2d(3, 3, 1), Wrapper(), nn.Sequential(Wrapper()))
    edited, report = surgery.apply(network, [surgery.replace(of="gelu", part="relu", expect=2)], X)
    assert type(edited[1]) is type(edited[2][0]) is nn.ReLU
    assert report.unreached == ()


class Doubled(nn.Module):
    """More than the function, so no module to take for it."""

    def forward(self, x):
        return 2 * F.gelu(x)


def test_a_module_that_does_more_is_found_by_its_class():
    network = nn.Sequential(nn.Conv2d(3, 3, 1), Doubled(), nn.Sequential(Doubled()))
    with pytest.raises(SurgeryError, match=r"F.gelu in 1, F.gelu in 2.0; .* write 'of: Doubled'"):
        surgery.apply(network, [surgery.replace(of="gelu", part="relu")], X)
    _, report = surgery.apply(network, [surgery.replace(of="Doubled", part="relu", expect=2)], X)
    assert report.unreached == ()


class ByHand(nn.Module):
    """SiLU and Mish written out."""

    def forward(self, x):
        return x * torch.sigmoid(x) + torch.tanh(F.softplus(x)) * x + x * torch.sigmoid(2 * x)


@pytest.mark.parametrize(("kind", "call"), [("silu", "x * sigmoid(x)"), ("mish", "x * tanh(softplus(x))")])
def test_written_out_by_hand_it_is_a_call_too(kind, call):
    act = {"silu": nn.SiLU, "mish": nn.Mish}[kind]()
    _, report = surgery.apply(nn.Sequential(act, ByHand()), [surgery.replace(of=kind, part="relu")], X)
    assert report.unreached == (f"{call} in 1",)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_scripted_code_is_known_by_its_kernels():
    class Rectified(nn.Module):
        def forward(self, x):
            return F.relu(x)

    network = nn.Sequential(nn.ReLU(), torch.jit.script(nn.Sequential(Rectified(), nn.ReLU6())))
    _, report = surgery.apply(network, [surgery.replace(of="relu", part="relu")], X)
    assert report.unreached == ("aten::relu in 1",)


def test_a_class_of_the_functions_name_that_was_replaced_is_not_missed():
    class GELU(Wrapper):
        pass

    _, report = surgery.apply(nn.Sequential(GELU(), Half()), [surgery.replace(of="GELU", part="relu", within="0")], X)
    assert report.unreached == ()
