"""Each promise of convolutions and upsampling is broken on purpose once, and the check says so."""

import pytest
from breaking import assert_breaks_only
from torch import nn

from ablab.errors import ConfigError
from ablab.registry import Entry
from ablab.surgery import contract


class Unstrided(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size, padding):
        super().__init__(in_channels, out_channels, kernel_size, padding=padding)


class Choosy(nn.Conv2d):
    """Serves stride 1 only, and says so where it is asked for another."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size, stride, padding, dilation, groups: int):
        if stride != 1:
            raise ConfigError("stride 1 only")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups)


class Crashes(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride, padding, dilation, groups: int):
        half = kernel_size // 2
        super().__init__(in_channels, out_channels, 2 * half + 1, stride, padding, dilation, groups)


class Forgets(nn.Module):
    """Its fused form leaves the batch norm's shift out."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size, stride, padding, dilation, groups: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return self.norm(self.conv(x))

    def fuse(self):
        return self.conv


class Once(nn.Module):
    def forward(self, x):
        return x


BROKEN = [
    (
        Entry("conv", "broken", Unstrided),
        "shape is a convolutions",
        "kernel_size=3, stride=2, padding=1 a map of 7 x 5",
    ),
    (Entry("conv", "broken", Choosy), "shape is a convolutions", "register with strides="),
    (
        Entry("conv", "broken", Crashes),
        "shape is a convolutions",
        "kernel_size=(5, 5), stride=(2, 1), padding=(2, 2) it",
    ),
    (Entry("conv", "broken", Forgets), "fused form gives the same", "fold each batch norm's running statistics"),
    (Entry("upsample", "broken", Once), "twice as fine", "expected (2, 64, 14, 10)"),
]


@pytest.mark.parametrize(("entry", "promise", "words"), BROKEN)
def test_the_broken_promise_is_named_and_no_other(entry, promise, words):
    assert_breaks_only(entry, promise, words)


def test_declared_strides_are_enough():
    contract.check(Entry("conv", "choosy", Choosy, traits={"strides": [1]}))


def test_torchs_own_convolution_keeps_the_contract():
    contract.check(Entry("conv", "torch", nn.Conv2d, traits={"alternatives": {"padding_mode": ["reflect"]}}))
