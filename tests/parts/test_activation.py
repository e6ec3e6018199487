import pytest
import torch
from torch import nn

from ablab import registry, testing
from ablab.parts.activation import DYShiftMax, FReLU, Maxout, Swish

CHECKS = [check for name in registry.names("activation") for check in testing.checks("activation", name)]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_every_activation_keeps_the_contract(check):
    check()


TORCH = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "hardsigmoid": nn.Hardsigmoid,
    "hardswish": nn.Hardswish,
    "leaky-relu": nn.LeakyReLU,
    "mish": nn.Mish,
    "prelu": nn.PReLU,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "tanh": nn.Tanh,
}


def test_torchs_own_classes_are_registered_as_they_are():
    ours = {"dy-shift-max": DYShiftMax, "frelu": FReLU, "maxout": Maxout, "swish": Swish}
    assert registry.names("activation") == sorted(TORCH | ours)
    for name, kind in (TORCH | ours).items():
        assert registry.get(name, "activation").build is kind


@pytest.mark.parametrize("name", TORCH)
def test_a_class_of_torchs_has_a_note(name):
    assert registry.get(name, "activation").traits["note"].endswith(".")


def test_every_activation_has_a_source():
    assert all(registry.get(name, "activation").paper for name in registry.names("activation"))


def test_frelu_by_hand():
    """A window of ones on ones counts the neighbours that are there: 4 in a corner, 6 at an edge, 9 inside."""
    part = FReLU(1).eval()
    nn.init.ones_(part.window.weight)
    output = part(torch.ones(1, 1, 3, 3)) * (1 + part.norm.eps) ** 0.5
    assert torch.allclose(output, torch.tensor([[[[4.0, 6, 4], [6, 9, 6], [4, 6, 4]]]]))
    assert torch.equal(part(-torch.ones(1, 1, 3, 3)), -torch.ones(1, 1, 3, 3))


def test_frelu_with_a_closed_window_is_relu():
    part = FReLU(5).eval()
    nn.init.zeros_(part.window.weight)
    x = torch.linspace(-3, 3, 2 * 5 * 4 * 4).reshape(2, 5, 4, 4)
    assert torch.equal(part(x), x.relu())


def test_frelus_window_sees_one_channel():
    part = FReLU(3).eval()
    x = torch.zeros(1, 3, 5, 5)
    x[0, 1, 2, 2] = -9
    changed = (part(x) != 0).flatten(2).any(dim=2)
    assert changed.tolist() == [[False, True, False]]


def test_frelus_size_by_hand():
    assert sum(p.numel() for p in FReLU(64).parameters()) == 64 * (9 + 2)
