"""Activations that are ours: limits in which they are known functions, and numbers worked out by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from ablab import registry
from ablab.errors import ConfigError
from ablab.parts.activation import DYShiftMax, Maxout, Swish

X = torch.linspace(-4, 4, 2 * 4 * 5 * 3).reshape(2, 4, 5, 3)


def test_swish_in_its_limits():
    torch.testing.assert_close(Swish()(X), functional.silu(X))
    torch.testing.assert_close(Swish(0)(X), X / 2)
    torch.testing.assert_close(Swish(1e4)(X), X.relu())


def test_swishs_beta_learns_and_keeps_half_precision():
    """d/dbeta of x * sigmoid(beta * x) is x^2 / 4 at beta 0."""
    part = Swish(0)
    part(X).sum().backward()
    assert part.beta.grad.item() == pytest.approx(X.square().sum().item() / 4)
    assert part(X.bfloat16()).dtype == torch.bfloat16  # as under autocast: the map decides, not the parameter


def pieces(part, *maps):
    """Let a maxout hold these linear maps."""
    with torch.no_grad():
        part.maps.weight.copy_(torch.cat([m * torch.eye(4) for m in maps])[:, :, None, None])
    return part


def test_maxout_holds_relu_and_abs_and_leaky_slopes():
    torch.testing.assert_close(pieces(Maxout(4), 1, 0)(X), X.relu())
    torch.testing.assert_close(pieces(Maxout(4), 1, -1)(X), X.abs())
    torch.testing.assert_close(pieces(Maxout(4), 0.1, 1)(X), functional.leaky_relu(X, 0.1))
    torch.testing.assert_close(pieces(Maxout(4, pieces=3), -1, 0.5, 2)(X), torch.where(X > 0, 2 * X, -X))


def test_maxouts_size_by_hand():
    assert sum(p.numel() for p in Maxout(16, pieces=3).parameters()) == 3 * (16 * 16 + 16)


def test_maxout_keeps_the_mean_square():
    """Of two normal numbers the larger has their mean square."""
    torch.manual_seed(0)
    output = Maxout(256)(torch.randn(4, 256, 8, 8))
    assert output.square().mean().item() == pytest.approx(1, abs=0.05)


def test_maxout_of_one_is_refused():
    with pytest.raises(ConfigError, match="pieces must be 2 or more, got 1; with one piece it is a convolution"):
        Maxout(4, pieces=1)


def coefficients(part, a):
    """Let a dynamic shift-max have the same coefficients everywhere: a (K, J), as added to 1 at the first."""
    nn.init.zeros_(part.excite.weight)
    with torch.no_grad():
        part.excite.bias.copy_(3 * torch.tensor(a).flatten().repeat_interleave(4))
    return part


def test_shift_max_with_nothing_excited_is_relu():
    """The limit that the authors start from: a = (1, 0; 0, 0)."""
    part = coefficients(DYShiftMax(4), [[0.0, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(part(X), X.relu())


def test_shift_max_starts_near_relu():
    torch.manual_seed(0)
    x = torch.randn(4, 64, 8, 8)
    assert (DYShiftMax(64)(x) - x.relu()).abs().max() < 0.02 * x.abs().max()


def test_shift_max_without_the_second_piece_is_a_dynamic_leaky_relu():
    part = coefficients(DYShiftMax(4, shifts=1), [[0.0], [0.25]])
    torch.testing.assert_close(part(X), functional.leaky_relu(X, 0.25))


def test_shift_max_by_hand():
    """Four channels in two groups: channel i sees channel i + 2. max(x_i + x_(i+2) / 2, x_i / 4 - x_(i+2))."""
    part = coefficients(DYShiftMax(4, groups=2), [[0.0, 0.5], [0.25, -1.0]])
    x = torch.tensor([2.0, -1, 4, 8]).reshape(1, 4, 1, 1)
    assert part(x).flatten().tolist() == [4.0, 3.0, 5.0, 7.5]


def test_shift_maxs_shifts_go_round():
    """With every shift, and a weight of 1 each, every channel is the sum of all."""
    part = coefficients(DYShiftMax(4, groups=4, shifts=4), [[0.0, 1.0, 1.0, 1.0], [-1.0] * 4])
    total = X.sum(1, keepdim=True).expand_as(X)
    torch.testing.assert_close(part(X), torch.maximum(total, -total), atol=1e-5, rtol=0)


def test_shift_maxs_coefficients_come_from_the_channel_means():
    part = DYShiftMax(4)
    flipped = X.flip(2, 3)
    torch.testing.assert_close(part(flipped), part(X).flip(2, 3))
    assert not torch.allclose(part(2 * X), 2 * part(X))


@pytest.mark.parametrize(("channels", "groups"), [(64, 8), (48, 8), (7, 7), (2, 2)])
def test_shift_maxs_groups_by_default(channels, groups):
    assert DYShiftMax(channels).groups == groups


@pytest.mark.parametrize("args", [{"groups": 3}, {"groups": 2, "shifts": 3}, {"shifts": 0}, {"pieces": 1}])
def test_shift_max_refuses(args):
    with pytest.raises(ConfigError, match=r"groups must divide the 4 channels, shifts be 1 to groups and pieces 2"):
        DYShiftMax(4, **args)


def carry(name, old, **args):
    new = registry.make(name, "activation", **args)
    registry.get(name, "activation").traits["carry"](old, new)
    return new


@pytest.mark.parametrize("old", [nn.ReLU(), nn.LeakyReLU(0.1), nn.PReLU(), nn.PReLU(4, init=-0.5)], ids=str)
def test_prelu_begins_as_what_stood_there(old):
    torch.testing.assert_close(carry("prelu", old, num_parameters=4)(X), old(X))


@pytest.mark.parametrize("old", [nn.SiLU(), Swish(2.5)], ids=str)
def test_swish_begins_as_what_stood_there(old):
    torch.testing.assert_close(carry("swish", old, beta=7)(X), old(X))


@pytest.mark.parametrize(
    ("name", "args", "old"), [("prelu", {"num_parameters": 4}, nn.SiLU()), ("swish", {}, nn.ReLU())]
)
def test_what_cannot_begin_so_says_it(name, args, old):
    with pytest.raises(ConfigError, match=rf"not as a {type(old).__name__}; replace it"):
        carry(name, old, **args)
