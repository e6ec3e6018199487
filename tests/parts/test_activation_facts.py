"""What notes and docstrings say of activations, measured; their formulas, written out in numpy."""

import math

import numpy as np
import pytest
import torch
from scipy.special import erf
from torch import nn
from torch.nn import functional

from ablab import registry

X = torch.linspace(-12, 12, 240_001, dtype=torch.float64)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


FORMULAS = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.minimum(np.maximum(x, 0), 6),
    "leaky-relu": lambda x: np.maximum(x, 0.01 * x),
    "prelu": lambda x: np.maximum(x, 0) + 0.25 * np.minimum(x, 0),
    "elu": lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    "silu": lambda x: x * sigmoid(x),
    "swish": lambda x: x * sigmoid(x),
    "hardswish": lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
    "hardsigmoid": lambda x: np.minimum(np.maximum(x + 3, 0), 6) / 6,
    "sigmoid": sigmoid,
    "tanh": lambda x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
}


def make(name):
    args = {"num_parameters": 1} if name == "prelu" else {}
    return registry.make(name, "activation", **args).double()


def slopes(name):
    x = X.clone().requires_grad_()
    (slope,) = torch.autograd.grad(make(name)(x).sum(), x)
    return slope


@pytest.mark.parametrize("name", FORMULAS)
def test_the_formula(name):
    np.testing.assert_allclose(make(name)(X).detach().numpy(), FORMULAS[name](X.numpy()), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "least", "where"),
    [("silu", -0.0998, -2.3994), ("gelu", -0.1289, -1.4142), ("mish", -0.1125, -2.2564)],
)
def test_smooth_ones_are_not_monotonic(name, least, where):
    slope = slopes(name)
    assert slope.min().item() == pytest.approx(least, abs=5e-5)
    assert X[slope.argmin()].item() == pytest.approx(where, abs=2e-4)


def test_silus_slope_is_negative_below_its_lowest_point():
    lowest = X[functional.silu(X).argmin()].item()
    assert lowest == pytest.approx(-1.2785, abs=1e-4)
    assert (slopes("silu")[lowest - 1e-4 > X] < 0).all()
    assert (slopes("silu")[lowest + 1e-4 < X] > 0).all()


def test_swishs_least_slope_does_not_depend_on_beta():
    part = registry.make("swish", beta=4.0).double()
    x = X.clone().requires_grad_()
    (slope,) = torch.autograd.grad(part(x).sum(), x)
    assert slope.min().item() == pytest.approx(-0.0998, abs=5e-5)
    assert X[slope.argmin()].item() == pytest.approx(-2.3994 / 4, abs=2e-4)


def test_hardswishs_slope_jumps_and_is_dead_below_minus_3():
    slope = slopes("hardswish")
    assert not slope[X < -3].any()
    assert slope[(X > -3) & (X < -2.999)].mean().item() == pytest.approx(-0.5, abs=1e-3)
    assert slope[(X < 3) & (X > 2.999)].mean().item() == pytest.approx(1.5, abs=1e-3)
    assert (slope[X > 3] == 1).all()


def test_both_hard_swishes_of_the_study_are_one_function():
    """Equal in every bit, and their gradients to rounding, at the corners too: so there is one part for both."""
    x = torch.cat([torch.linspace(-10, 10, 100_001), torch.tensor([-3.0, 3.0])])
    forms = {
        "part": make("hardswish").float(),
        "hardtanh": lambda x: x * functional.hardtanh(x + 3, 0, 6) / 6,
        "hardsigmoid": lambda x: x * functional.hardsigmoid(x),
    }
    output, slope = {}, {}
    for name, form in forms.items():
        leaf = x.clone().requires_grad_()
        output[name] = form(leaf)
        (slope[name],) = torch.autograd.grad(output[name].sum(), leaf)
    assert torch.equal(output["part"], output["hardtanh"])
    for name in ("hardtanh", "hardsigmoid"):
        torch.testing.assert_close(output[name], output["part"], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(slope[name], slope["part"], rtol=1e-6, atol=1e-6)


def test_steepness_of_those_that_saturate():
    assert slopes("sigmoid").max().item() == pytest.approx(0.25)
    assert slopes("tanh").max().item() == pytest.approx(1)
    far = 10.0
    at = (X - far).abs().argmin()
    assert slopes("softsign")[at].item() == pytest.approx(1 / (1 + far) ** 2)
    assert slopes("tanh")[at].item() == pytest.approx(4 * math.exp(-2 * far), rel=1e-6)


def test_hardsigmoid_is_not_keras():
    keras = (X / 5 + 0.5).clamp(0, 1)
    assert (make("hardsigmoid")(X) - keras).abs().max().item() == pytest.approx(1 / 12, abs=1e-3)


def test_softplus_is_not_centred():
    assert make("softplus")(torch.zeros(1, dtype=torch.float64)).item() == pytest.approx(math.log(2))
    assert (make("softplus")(X) > 0).all()


def test_relus_dead_units_get_no_gradient_and_leaky_ones_a_hundredth():
    assert not slopes("relu")[X < 0].any()
    assert not slopes("relu6")[(X < 0) | (X > 6)].any()
    assert (slopes("leaky-relu")[X < 0] == 0.01).all()


def test_elu_is_smooth_with_alpha_1_alone():
    def jump(alpha):
        x = torch.tensor([-1e-9, 1e-9], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(nn.ELU(alpha)(x).sum(), x)
        return (slope[1] - slope[0]).item()

    assert jump(1.0) == pytest.approx(0, abs=1e-8)
    assert jump(2.0) == pytest.approx(-1)


def test_gelus_approximation_is_off_by_half_a_thousandth():
    difference = (nn.GELU()(X) - nn.GELU("tanh")(X)).abs().max().item()
    assert 4e-4 < difference < 5e-4
