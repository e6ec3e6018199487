"""Blocks of several branches equal the one convolution that they become."""

import copy

import pytest
import torch
from timm.layers import create_norm_act_layer
from timm.models.byobnet import LayerFn, RepVggBlock
from timm.utils.model import reparameterize_model
from torch import nn
from torch.nn import functional as F

from ablab.measure.parameters import parameters
from ablab.parts.conv import AsymmetricBlock, CentralDifferenceConv, Reparameterizable, RepVGG

SITES = {
    "usual": {"in_channels": 12, "out_channels": 12, "kernel_size": 3, "padding": 1},
    "strided": {"in_channels": 12, "out_channels": 18, "kernel_size": 3, "stride": 2, "padding": 1},
    "grouped": {"in_channels": 12, "out_channels": 12, "kernel_size": 3, "padding": 1, "groups": 3},
    "dilated": {"in_channels": 12, "out_channels": 12, "kernel_size": 3, "padding": 2, "dilation": 2},
    "valid": {"in_channels": 12, "out_channels": 12, "kernel_size": 5},
    "oblong": {"in_channels": 12, "out_channels": 12, "kernel_size": (3, 5), "padding": (1, 2)},
}


def lived(part, seed=0):
    """Weights and statistics of a network that has been trained."""
    generator = torch.Generator().manual_seed(seed)
    for norm in (module for module in part.modules() if isinstance(module, nn.BatchNorm2d)):
        for tensor in (norm.weight.data, norm.bias.data, norm.running_mean):
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
        norm.running_var.copy_(torch.rand(norm.running_var.shape, generator=generator) + 0.2)
    return part.eval()


@pytest.fixture
def x():
    return torch.randn(2, 12, 11, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("site", SITES.values(), ids=SITES)
@pytest.mark.parametrize("kind", [RepVGG, AsymmetricBlock, CentralDifferenceConv])
def test_fused_equals_unfused(kind, site, x):
    part = lived(kind(**site))
    assert isinstance(part, Reparameterizable)
    assert torch.allclose(part.fuse()(x), part(x), atol=1e-5)
    part, x = part.double(), x.double()
    fused = part.fuse()
    assert type(fused) is nn.Conv2d
    assert not fused.training
    assert torch.allclose(fused(x), part(x), rtol=1e-12, atol=1e-12)


def test_the_part_stands_as_it_stood():
    part = lived(RepVGG(12, 12, 3, padding=1))
    before = copy.deepcopy(part.state_dict())
    part.fuse().weight.data.zero_()
    assert all(torch.equal(value, part.state_dict()[name]) for name, value in before.items())


def test_timm_fuses_a_network_with_our_parts(x):
    network = nn.Sequential(
        RepVGG(12, 12, 3, padding=1), nn.BatchNorm2d(12), nn.SiLU(), nn.Sequential(AsymmetricBlock(12, 6, 3))
    )
    expected = lived(network)(x)
    fused = reparameterize_model(network)
    assert [type(m) for m in fused.modules() if not list(m.children())] == [
        nn.Conv2d,
        nn.BatchNorm2d,
        nn.SiLU,
        nn.Conv2d,
    ]
    assert torch.allclose(fused(x), expected, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_repvgg_is_timms(x, stride):
    ours = lived(RepVGG(12, 12, 3, stride=stride, padding=1))
    layers = LayerFn(
        act=nn.Identity, norm_act=lambda channels, **_: create_norm_act_layer("batchnorm2d", channels, nn.Identity)
    )
    theirs = RepVggBlock(12, 12, 3, stride=stride, layers=layers).eval()
    theirs.act = nn.Identity()
    pairs = {"full": theirs.conv_kxk, "point": theirs.conv_1x1}
    for name, block in pairs.items():
        block.conv.load_state_dict(ours.branches[name].conv.state_dict())
        block.bn.load_state_dict(ours.branches[name].norm.state_dict())
        block.bn.act = nn.Identity()
    assert (theirs.identity is None) == ("identity" not in ours.branches)
    if theirs.identity is not None:
        theirs.identity.load_state_dict(ours.branches["identity"].norm.state_dict())
        theirs.identity.act = nn.Identity()
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)
    theirs.reparameterize()
    fused = ours.fuse()
    assert torch.allclose(fused.weight, theirs.reparam_conv.weight, atol=1e-6)
    assert torch.allclose(fused.bias, theirs.reparam_conv.bias, atol=1e-6)


def test_asymmetric_block_by_hand(x):
    """Fresh statistics only scale: the sum of the three convolutions, each over sqrt(1 + eps)."""
    part = AsymmetricBlock(12, 7, 3, stride=2, padding=1).eval()
    square, vertical, horizontal = (branch.conv.weight for branch in part.branches.values())
    assert (vertical.shape, horizontal.shape) == ((7, 12, 3, 1), (7, 12, 1, 3))
    expected = (
        F.conv2d(x, square, stride=2, padding=1)
        + F.conv2d(x, vertical, stride=2, padding=(1, 0))
        + F.conv2d(x, horizontal, stride=2, padding=(0, 1))
    ) / (1 + 1e-5) ** 0.5
    assert torch.allclose(part(x), expected, atol=1e-5)


def test_sizes_by_hand():
    assert parameters(AsymmetricBlock(64, 64, 3)) == 64 * 64 * (9 + 3 + 3) + 3 * 2 * 64
    assert parameters(RepVGG(64, 64, 3, padding=1)) == 64 * 64 * (9 + 1) + 3 * 2 * 64
    assert parameters(RepVGG(64, 64, 3, stride=2, padding=1)) == 64 * 64 * (9 + 1) + 2 * 2 * 64
    assert parameters(CentralDifferenceConv(64, 64, 3)) == parameters(nn.Conv2d(64, 64, 3))
