import math

import pytest
import torch
from torch import nn

from ablab import registry, testing
from ablab.errors import ConfigError
from ablab.parts.attention import CBAM, ECA, SE, CoordinateAttention

CHECKS = [check for name in registry.names("attention") for check in testing.checks("attention", name)]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_every_attention_keeps_the_contract(check):
    check()


def test_every_attention_has_a_source():
    assert registry.names("attention") == ["ca", "cbam", "eca", "se"]
    assert all(registry.get(name, "attention").paper for name in registry.names("attention"))


def size(module):
    return sum(p.numel() for p in module.parameters())


def test_sizes_by_hand():
    c = 64
    assert size(SE(c)) == 2 * c * 4 + 4 + c  # two convolutions with bias, C -> C / 16 -> C
    assert size(CBAM(c)) == 2 * c * 4 + 2 * 7 * 7 + 2  # without bias, then 7x7 (2 -> 1) and its norm
    assert size(CBAM(c, kernel_size=3)) == 2 * c * 4 + 2 * 3 * 3 + 2
    assert size(CoordinateAttention(c)) == 3 * c * 8 + 2 * 8  # never below 8 channels; one norm
    assert size(CoordinateAttention(c, reduction=4)) == 3 * c * 16 + 2 * 16


@pytest.mark.parametrize("channels", [16, 64, 256, 1024])
def test_ecas_kernel_follows_the_papers_equation(channels):
    """The odd number at or above |log2(C) / 2 + 1 / 2|, cut to a whole number; never below 3 (timm's floor)."""
    t = int(abs(math.log2(channels) + 1) / 2)
    assert ECA(channels).conv.kernel_size == (max(t + (t % 2 == 0), 3),)


def test_eca_by_hand():
    """A kernel (0, 1, 0) makes the gate of a channel the sigmoid of its own mean."""
    part = ECA(4, kernel_size=3)
    part.conv.weight.data = torch.tensor([[[0.0, 1, 0]]])
    x = torch.arange(4.0).reshape(1, 4, 1, 1).expand(1, 4, 3, 5)
    assert torch.allclose(part(x), x * x.sigmoid())


def test_se_with_zero_weights_halves():
    part = SE(32)
    for parameter in part.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(2, 32, 3, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(part(x), x / 2)


def test_coordinate_attention_knows_rows_and_columns():
    """A bright row changes the gates of other places in that row more than SE, which sees the mean alone, could."""
    part = CoordinateAttention(16).eval()
    x = torch.ones(1, 16, 6, 6)
    x[:, :, 2] = 5
    gates = part(x) / x
    assert not torch.allclose(gates[:, :, 2], gates[:, :, 3])
    assert torch.allclose(gates[:, :, 0], gates[:, :, 5])


@pytest.mark.parametrize("part", [ECA, CBAM])
def test_an_even_kernel_is_refused_with_the_nearest_odd_ones(part):
    with pytest.raises(ConfigError, match="must be odd and positive, got 4; take 3 or 5"):
        part(16, kernel_size=4)


@pytest.mark.parametrize("part", [SE, CBAM, CoordinateAttention])
def test_few_channels_still_have_a_middle(part):
    assert part(3).eval()(torch.ones(1, 3, 2, 2)).shape == (1, 3, 2, 2)
