"""What weights do that go from a plain convolution into a part."""

import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18

from ablab import registry, surgery
from ablab.errors import ConfigError
from ablab.parts.conv import DepthwiseSeparableConv

CARRIERS = [name for name in registry.names("conv") if "carry" in registry.get(name, "conv").traits]
EXACT = ["acnet", "central-difference", "repvgg"]
SITES = {
    "usual": {"in_channels": 8, "out_channels": 8, "kernel_size": 3, "padding": 1, "bias": False},
    "strided, bias": {"in_channels": 8, "out_channels": 16, "kernel_size": 3, "stride": 2, "padding": 1},
    "grouped": {"in_channels": 8, "out_channels": 16, "kernel_size": 3, "padding": 1, "groups": 2},
    "valid": {"in_channels": 8, "out_channels": 8, "kernel_size": 5},
}


def carried(name, site, old, **args):
    entry = registry.get(name, "conv")
    facts = {fact: value for fact, value in site.items() if fact in entry.arguments}
    part = entry.build(**facts, **args).to(old.weight.dtype)
    entry.traits["carry"](old, part)
    return part.eval()


@pytest.fixture
def x():
    return torch.randn(2, 8, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_what_carries():
    assert CARRIERS == [
        "acnet",
        "central-difference",
        "depthwise-separable",
        "dilated",
        "grouped",
        "pointwise",
        "repvgg",
    ]


@pytest.mark.parametrize("site", SITES.values(), ids=SITES)
@pytest.mark.parametrize("name", EXACT)
def test_the_function_is_kept(name, site, x):
    old = nn.Conv2d(**site).double()
    assert torch.allclose(carried(name, site, old)(x), old(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["acnet", "repvgg"])
def test_the_function_is_kept_whatever_the_statistics(name, x):
    site = SITES["usual"]
    old, entry = nn.Conv2d(**site).double(), registry.get(name, "conv")
    part = entry.build(8, 8, 3, padding=1).double().train()
    part(x)  # moves the running statistics
    entry.traits["carry"](old, part)
    assert torch.allclose(part.eval()(x), old(x), rtol=1e-9, atol=1e-9)


def test_central_difference_keeps_it_at_every_theta_below_1(x):
    old = nn.Conv2d(8, 8, 3, padding=1).double()
    for theta in (0.0, 0.3, 0.95):
        part = carried("central-difference", SITES["usual"] | {"bias": True}, old, theta=theta)
        assert torch.allclose(part(x), old(x), rtol=1e-9, atol=1e-9)
    with pytest.raises(ConfigError, match="every kernel sums to 0"):
        carried("central-difference", SITES["usual"] | {"bias": True}, old, theta=1.0)


@pytest.mark.parametrize("site", SITES.values(), ids=SITES)
def test_a_separable_kernel_is_carried_exactly(site, x):
    source = DepthwiseSeparableConv(**site).double()
    old = nn.Conv2d(**site).double()
    groups = site.get("groups", 1)
    inputs = torch.arange(8).reshape(groups, 1, -1).expand(-1, old.out_channels // groups, -1).flatten(0, 1)
    old.weight.data = source.pointwise.weight * source.depthwise.weight[:, 0][inputs]
    if old.bias is not None:
        old.bias.data = source.pointwise.bias.data
    assert torch.allclose(old(x), source(x), rtol=1e-9, atol=1e-9)
    assert torch.allclose(carried("depthwise-separable", site, old)(x), old(x), rtol=1e-9, atol=1e-9)


def test_the_nearest_separable_kernel_is_found():
    """Eckart & Young: a channel's best rank-1 error is what its other singular values hold; no start does better."""
    site = SITES["usual"]
    old = nn.Conv2d(**site).double()
    part = carried("depthwise-separable", site, old)
    product = part.pointwise.weight * part.depthwise.weight[:, 0]
    left = sum(torch.linalg.svdvals(old.weight[:, c].flatten(1))[1:].square().sum() for c in range(8))
    assert torch.allclose((old.weight - product).square().sum(), left)
    mean = old.weight.mean(
        dim=0, keepdim=True
    )  # another guess: the mean kernel, scaled for each output in least squares
    scale = (old.weight * mean).sum(dim=(2, 3), keepdim=True) / mean.square().sum(dim=(2, 3), keepdim=True)
    assert left < (old.weight - scale * mean).square().sum()


def test_a_1x1_is_carried_into_a_separable_as_it_is(x):
    site = {"in_channels": 8, "out_channels": 4, "kernel_size": 1}
    old = nn.Conv2d(**site).double()
    assert torch.equal(carried("depthwise-separable", site, old)(x), old(x))


def test_dilated_takes_the_same_weights(x):
    old = nn.Conv2d(8, 8, 3, padding=1).double()
    part = carried("dilated", SITES["usual"] | {"bias": True}, old, rate=2)
    assert torch.equal(part(x), F.conv2d(x, old.weight, old.bias, padding=2, dilation=2))


@pytest.mark.parametrize("groups", [1, 2])
def test_grouped_keeps_the_blocks_that_it_has_room_for(x, groups):
    """Exact where the convolution has weights in those blocks only: every `into`-th output of a group sees one hand."""
    site = {"in_channels": 8, "out_channels": 16, "kernel_size": 3, "padding": 1, "groups": groups}
    old = nn.Conv2d(**site).double()
    into, hand = 2, 8 // groups // 2
    seen = torch.zeros_like(old.weight)
    for output in range(16):
        turn = output % (16 // groups) % into
        seen[output, turn * hand : (turn + 1) * hand] = 1
    dense = old.weight.data.clone()
    old.weight.data *= seen
    expected = old(x)
    assert torch.allclose(carried("grouped", site, old, into=into)(x), expected, rtol=1e-9, atol=1e-9)
    old.weight.data = dense
    assert torch.allclose(carried("grouped", site, old, into=into)(x), expected, rtol=1e-9, atol=1e-9)


def test_pointwise_takes_the_centre(x):
    old = nn.Conv2d(8, 8, 3, padding=1).double()
    old.weight.data *= torch.tensor([[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    part = carried("pointwise", SITES["usual"] | {"bias": True}, old)
    assert torch.allclose(part(x), old(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", CARRIERS)
def test_only_a_plain_convolution_of_the_same_site_is_taken(name):
    site = SITES["usual"]
    for old, words in (
        (nn.Linear(8, 8), "from a plain nn.Conv2d, not from Linear"),
        (Conv2dSame(8, 8, 3), "not from Conv2dSame"),
        (nn.ConvTranspose2d(8, 8, 3, padding=1), "not from ConvTranspose2d"),
        (nn.Conv2d(8, 8, 3, padding=1, bias=False, padding_mode="reflect"), "pads with 'reflect'"),
        (nn.Conv2d(8, 4, 3, padding=1, bias=False), "does other work"),
        (nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False), "does other work"),
    ):
        with pytest.raises(ConfigError, match=words):
            carried(name, site, old)


@pytest.mark.parametrize("name", ["dilated", "grouped", "pointwise", "depthwise-separable", "central-difference"])
def test_a_bias_is_not_lost(name):
    with pytest.raises(ConfigError, match="has a bias, and the new part none"):
        carried(name, SITES["usual"], nn.Conv2d(8, 8, 3, padding=1))


def test_a_middle_of_its_own_takes_nothing_over():
    with pytest.raises(ConfigError, match="between='nothing'"):
        carried("depthwise-separable", SITES["usual"], nn.Conv2d(**SITES["usual"]), between="bn-relu")


@pytest.mark.parametrize("name", EXACT)
def test_a_networks_output_stays_when_its_convolutions_are_converted(name):
    network = resnet18(num_classes=5).eval()
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    edits = [surgery.convert(of="layer?.*.conv?", part=name, expect=16)]
    changed, _ = surgery.apply(network, edits, example=x)
    with torch.no_grad():
        assert torch.allclose(changed(x), network(x), rtol=1e-4, atol=1e-4)
