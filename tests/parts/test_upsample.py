"""Every way to a finer map keeps its contract, and computes what its formula says."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ablab import registry, surgery, testing
from ablab.errors import ConfigError
from ablab.parts.upsample import Bilinear, Nearest, PixelShuffleConv, ResizeConv, TransposedConv

NAMES = registry.names("upsample")
CHECKS = [check for name in NAMES for check in testing.checks("upsample", name)]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_every_upsampling_keeps_the_contract(check):
    check()


@pytest.fixture
def x():
    return torch.randn(2, 6, 5, 4, generator=torch.Generator().manual_seed(0))


def test_the_slot():
    assert NAMES == ["bilinear", "nearest", "pixel-shuffle", "resize-conv", "transposed"]
    assert all(registry.get(name, "upsample").paper for name in NAMES)


def test_nearest_repeats(x):
    assert torch.equal(Nearest(3)(x), x.repeat_interleave(3, dim=2).repeat_interleave(3, dim=3))


def test_bilinear_by_hand():
    """Between cells of 0 and 4 stand a quarter and three quarters of the way; borders repeat."""
    row = torch.tensor([0.0, 4.0]).reshape(1, 1, 1, 2)
    assert Bilinear()(row)[0, 0].tolist() == [[0, 1, 3, 4], [0, 1, 3, 4]]


def overlaps(kernel, stride):
    """How many weights meet in each new cell inside, in one row."""
    ones = torch.ones(1, 1, 6)
    return F.conv_transpose1d(ones, torch.ones(1, 1, kernel), stride=stride)[0, 0, kernel:-kernel].unique().tolist()


@pytest.mark.parametrize(("kernel", "scale"), [(4, 2), (2, 2), (3, 3), (6, 3), (8, 4)])
def test_as_many_weights_meet_in_every_cell(kernel, scale, x):
    assert overlaps(kernel, scale) == [kernel // scale]
    assert TransposedConv(6, scale, kernel)(x).shape == (2, 6, 5 * scale, 4 * scale)


def test_a_kernel_that_draws_a_checkerboard_is_refused():
    assert overlaps(3, 2) == [1, 2]
    with pytest.raises(ConfigError, match="multiple of scale=2, against checkerboards; take 2 or 4"):
        TransposedConv(6, 2, 3)
    with pytest.raises(ConfigError, match="take 3 or 6"):
        TransposedConv(6, 3, 4)


def test_transposed_is_centred():
    """An impulse spreads evenly around the cells that it becomes."""
    part = TransposedConv(1)
    nn.init.ones_(part.weight)
    nn.init.zeros_(part.bias)
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    assert torch.equal(part(x)[0, 0].nonzero().double().mean(dim=0), torch.full((2,), 4.5, dtype=torch.float64))


def test_pixel_shuffle_starts_as_nearest_neighbours_of_a_convolution(x):
    part = PixelShuffleConv(6, 2)
    first = slice(0, None, 4)
    coarse = F.conv2d(x, part.conv.weight[first], part.conv.bias[first], padding=1)
    assert torch.allclose(part(x), Nearest(2)(coarse))


def test_resize_conv_leaves_a_flat_map_flat(x):
    flat = ResizeConv(6)(torch.ones(1, 6, 5, 5))[:, :, 1:-1, 1:-1]
    assert torch.allclose(flat, flat[:, :, :1, :1].expand_as(flat), atol=1e-6)


def test_it_goes_where_a_network_upsamples():
    network = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Upsample(scale_factor=2), nn.Conv2d(6, 2, 1))
    edits = [surgery.replace(of="Upsample", part="pixel-shuffle", expect=1)]
    changed, _ = surgery.apply(network, edits, example=torch.rand(1, 3, 8, 8))
    assert type(changed[1]) is PixelShuffleConv
