"""Every convolution keeps its contract, and computes what its formula says."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import googlenet
from torchvision.models.shufflenetv2 import channel_shuffle

from ablab import registry, testing
from ablab.errors import ConfigError
from ablab.measure.parameters import parameters
from ablab.parts.conv import (
    AsymmetricBlock,
    CentralDifferenceConv,
    DepthwiseSeparableConv,
    DilatedConv,
    GroupedConv,
    Inception,
    MicroFactorisedConv,
    MLPConv,
    PointwiseConv,
    RepVGG,
)
from ablab.parts.conv.grouped import shuffle

NAMES = registry.names("conv")
CHECKS = [check for name in NAMES for check in testing.checks("conv", name)]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_every_convolution_keeps_the_contract(check):
    check()


@pytest.fixture
def x():
    return torch.randn(2, 8, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_the_slot_holds_what_the_field_swaps():
    assert NAMES == [
        "acnet",
        "central-difference",
        "conv",
        "depthwise-separable",
        "dilated",
        "grouped",
        "inception",
        "micro-factorised",
        "nin",
        "pointwise",
        "repvgg",
    ]
    assert all(registry.get(name, "conv").paper for name in NAMES)
    assert registry.get("conv", "conv").build is nn.Conv2d


@pytest.mark.parametrize("name", NAMES)
def test_a_part_can_be_the_host_of_the_next(name):
    part = registry.make(name, "conv", **dict.fromkeys(("in_channels", "out_channels"), 16), kernel_size=3, padding=1)
    assert (part.in_channels, part.out_channels, part.groups) == (16, 16, 1)
    has_bias = name not in {"acnet", "repvgg"}  # their batch norms shift
    assert (part.bias is not None) == has_bias


def test_refusals_say_what_is_wanted():
    for part in (RepVGG, AsymmetricBlock, CentralDifferenceConv, Inception):
        with pytest.raises(ConfigError, match=r"wants an odd kernel of 3 or more on both axes, got \(1, 1\)"):
            part(16, 16, 1)
    with pytest.raises(ConfigError, match="a 1x1 kernel has nothing to spread"):
        DilatedConv(16, 16, 1)
    with pytest.raises(ConfigError, match="has dilation 3 already"):
        DilatedConv(16, 16, 3, padding=3, dilation=3)
    with pytest.raises(ConfigError, match="divide the channels, got into=4 for 3 -> 16"):
        GroupedConv(3, 16, 3)
    for part in (Inception, MicroFactorisedConv):
        with pytest.raises(ConfigError, match="this convolution has 2 groups"):
            part(16, 16, 3, padding=1, groups=2)
    with pytest.raises(ConfigError, match="by a reduction of 1 or more, got 4 for 3 -> 16"):
        MicroFactorisedConv(3, 16, 3)
    with pytest.raises(ConfigError, match=r"theta must lie in 0\.\.1, got 1\.5"):
        CentralDifferenceConv(16, 16, 3, theta=1.5)
    with pytest.raises(ConfigError, match="'nothing' or 'bn-relu', got 'relu'"):
        DepthwiseSeparableConv(16, 16, 3, between="relu")


@pytest.mark.parametrize(("outputs", "kernel"), [(64, 3), (128, 3), (32, 5)])
def test_separables_cost_is_the_papers(outputs, kernel):
    """Howard et al. 2017, section 3.1: 1 / N + 1 / k^2 of the standard convolution's."""
    standard = nn.Conv2d(48, outputs, kernel, bias=False)
    separable = DepthwiseSeparableConv(48, outputs, kernel, bias=False)
    assert parameters(separable) / parameters(standard) == pytest.approx(1 / outputs + 1 / kernel**2)
    assert parameters(separable) == 48 * kernel**2 + 48 * outputs


def test_a_separable_1x1_is_the_1x1():
    assert parameters(DepthwiseSeparableConv(48, 64, 1)) == parameters(nn.Conv2d(48, 64, 1))


def test_separable_with_mobilenets_middle(x):
    part = DepthwiseSeparableConv(8, 12, 3, padding=1, between="bn-relu").double().eval()
    middle = F.conv2d(x, part.depthwise.weight, padding=1, groups=8) / (1 + 1e-5) ** 0.5
    assert torch.allclose(part(x), F.conv2d(middle.relu(), part.pointwise.weight, part.pointwise.bias))


@pytest.mark.parametrize("theta", [0.0, 0.7, 1.0])
def test_central_difference_is_the_papers_equation(x, theta):
    """Yu et al. 2020, equation 3: theta * sum w (x_n - x_centre) + (1 - theta) * sum w x_n, place by place."""
    part = CentralDifferenceConv(8, 4, 3, stride=2, padding=1, theta=theta).double()
    windows = F.unfold(x, 3, padding=1, stride=2).unflatten(1, (8, 9))  # (B, in, 9, places)
    mixed = theta * (windows - windows[:, :, 4:5]) + (1 - theta) * windows
    expected = torch.einsum("ocn,bcnl->bol", part.weight.flatten(2), mixed) + part.bias[:, None]
    assert torch.allclose(part(x).flatten(2), expected)


def test_full_central_difference_is_blind_to_flat_regions():
    part = CentralDifferenceConv(8, 4, 3, bias=False, theta=1.0).double()
    assert part(torch.full((1, 8, 5, 5), 3.0, dtype=torch.float64)).abs().max() < 1e-12


def test_dilated_keeps_strided_windows_in_place(x):
    part = DilatedConv(8, 4, 3, stride=2, padding=1, rate=3).double()
    expected = F.conv2d(x, part.weight, part.bias, stride=2, padding=3, dilation=3)
    assert torch.equal(part(x), expected)


def seen(rates):
    """Offsets in a row of pixels that reach the middle through 3x3 layers of such rates."""
    layers = [DilatedConv(1, 1, 3, padding=1, bias=False, rate=r) if r > 1 else nn.Conv2d(1, 1, 3, 1, 1) for r in rates]
    for layer in layers:
        nn.init.ones_(layer.weight)
    x = torch.zeros(1, 1, 31, 31, requires_grad=True)
    nn.Sequential(*layers)(x)[0, 0, 15, 15].backward()
    return [int(place) - 15 for place in x.grad[0, 0, 15].nonzero()]


def test_equal_rates_leave_a_grid_and_a_saw_tooth_does_not():
    assert seen([2, 2, 2]) == [-6, -4, -2, 0, 2, 4, 6]
    assert seen([1, 3, 5]) == list(range(-9, 10))


def test_pointwise_reads_the_windows_centre(x):
    part = PointwiseConv(8, 4, 5, stride=2, padding=2).double()
    assert torch.equal(part(x), F.conv2d(x[:, :, ::2, ::2], part.weight, part.bias))


def test_shuffle_is_torchvisions():
    x = torch.arange(24.0).reshape(1, 24, 1, 1)
    assert torch.equal(shuffle(x, 4), channel_shuffle(x, 4))
    halves = [channel_shuffle(half, 3) for half in x.chunk(2, dim=1)]
    assert torch.equal(shuffle(x, 3, groups=2), torch.cat(halves, dim=1))


def reach(network, channels):
    """Which inputs each output depends on.  -> (out, in)"""
    return torch.autograd.functional.jacobian(lambda x: network(x).flatten(), torch.ones(1, channels, 1, 1)).flatten(1)


def test_the_shuffle_lets_the_next_layer_see_every_group():
    layers = [GroupedConv(16, 16, 1, into=4) for _ in range(2)]
    assert ((reach(layers[0], 16) != 0).sum(dim=1) == 4).all()
    assert (reach(nn.Sequential(*layers), 16) != 0).all()


def test_grouped_costs_a_share():
    assert parameters(GroupedConv(64, 32, 3, bias=False, into=8)) * 8 == 64 * 32 * 9


def test_micro_factorised_by_the_paper():
    """Li et al. 2021, section 3.1: C = 64, R = 4 gives G = 4; G x G blocks of rank 1; 2 C^2 / (R G) weights."""
    part = MicroFactorisedConv(64, 64, 3, padding=1, bias=False)
    assert part.count == 4
    assert parameters(part.squeeze) + parameters(part.stretch) == 2 * 64**2 // (4 * 4)
    assert parameters(part.columns) + parameters(part.rows) == 2 * 3 * 64
    matrix = reach(lambda x: part.stretch(shuffle(part.squeeze(x), part.count)), 64)
    blocks = matrix.reshape(4, 16, 4, 16).transpose(1, 2)
    assert (torch.linalg.matrix_rank(blocks, rtol=1e-4) == 1).all()
    assert (matrix != 0).all()


def test_micro_factorised_window_is_an_outer_product(x):
    part = MicroFactorisedConv(8, 8, 3, stride=2, padding=1).double()
    window = part.columns.weight * part.rows.weight  # (C, 1, 3, 1) * (C, 1, 1, 3)
    expected = F.conv2d(x, window, stride=2, padding=1, groups=8)
    assert torch.allclose(part.rows(part.columns(x)), expected)


def test_inceptions_widths_are_googlenets_first():
    """Table 1, inception (3a): 192 -> 64 + 128 + 32 + 32, in torchvision's GoogLeNet too."""
    theirs = googlenet(weights=None, init_weights=False, aux_logits=False).inception3a
    channels = [theirs.branch1.conv, theirs.branch2[1].conv, theirs.branch3[1].conv, theirs.branch4[1].conv]
    x = torch.zeros(1, 192, 4, 4)
    part = Inception(192, 256, 3, padding=1)
    branches = [part.point, part.small, part.large, part.pooled]
    assert [branch(x).shape[1] for branch in branches] == [conv.out_channels for conv in channels]
    assert part.small[0].out_channels == theirs.branch2[0].conv.out_channels == 96


def test_inceptions_branches_share_their_centres():
    """An impulse in the middle reaches 1, 9, 25 and 9 places around the middle."""
    part = Inception(8, 16, 3, padding=1, bias=False).double()
    x = torch.zeros(1, 8, 9, 9, dtype=torch.float64)
    base = [branch(x) for branch in (part.point, part.small, part.large, part.pooled)]
    x[:, :, 4, 4] = 1
    for branch, before, side in zip((part.point, part.small, part.large, part.pooled), base, (1, 3, 5, 3), strict=True):
        moved = (branch(x) != before).any(dim=1)[0].nonzero()
        assert (moved.min(dim=0).values.tolist(), moved.max(dim=0).values.tolist()) == (
            [4 - side // 2] * 2,
            [4 + side // 2] * 2,
        )


def test_nin_by_hand(x):
    part = MLPConv(8, 6, 3, stride=2, padding=1, bias=False, depth=2).double()
    first, second = part.points[1], part.points[3]
    expected = F.conv2d(F.conv2d(part.window(x).relu(), first.weight, first.bias).relu(), second.weight)
    assert torch.allclose(part(x), expected)
    assert second.bias is None


@pytest.mark.parametrize("name", ["depthwise-separable", "dilated", "grouped", "micro-factorised", "pointwise"])
def test_linear_parts_start_at_the_scale_of_a_convolution(name):
    """nn.Conv2d's start has variance 1 / 3 of the input's."""
    x = torch.randn(4, 64, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        y = registry.make(name, "conv", in_channels=64, out_channels=64, kernel_size=3, padding=1, bias=False)(x)
    inside = y[:, :, 3:-3, 3:-3]
    assert 0.8 < inside.std() * 3**0.5 < 1.25
