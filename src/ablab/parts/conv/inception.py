"""The Inception block."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.parts.conv.part import ConvPart
from ablab.parts.conv.site import Padding, Site, Size, site
from ablab.registry import register


@register("conv", "inception", paper="https://arxiv.org/abs/1409.4842")
class Inception(ConvPart):
    """1x1, 1x1 to k x k, 1x1 to (k + 2) x (k + 2) and max pool to 1x1, side by side.  (B, in, H, W) -> as nn.Conv2d

    Szegedy et al. 2015, figure 2b. The branches give 1/4, 1/2, 1/8 and 1/8 of the outputs and squeeze the inputs to
    1/2 and 1/8 before the large kernels, about as table 1's inception (3a) does. ReLU follows the squeezes; what
    follows the sum is left to the network.
    """

    last = "point.1"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        place = site(in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        place.assert_centred("inception")
        place.assert_ungrouped("inception")
        super().__init__(place)
        few = out_channels // 8
        if few < 1:
            raise ConfigError(f"inception divides its outputs by eighths, got {out_channels}; narrow the edit")
        if any(2 * p > k for k, p in zip(place.kernel_size, place.padding, strict=True)):
            raise ConfigError(f"inception pools, which pads by half the kernel at most, got {place.padding}")
        high, wide = place.kernel_size
        larger = place.window(kernel_size=(high + 2, wide + 2))
        self.point = _window(place.window(kernel_size=1), 2 * few, bias)
        self.small = _squeezed(place, in_channels // 2, out_channels - 4 * few, bias)
        self.large = _squeezed(larger, in_channels // 8, few, bias)
        self.pooled = nn.Sequential(
            nn.MaxPool2d(place.kernel_size, place.stride, place.padding, place.dilation),
            nn.Conv2d(in_channels, few, 1, bias=bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.point(x), self.small(x), self.large(x), self.pooled(x)), dim=1)


def _window(place: Site, outputs: int, bias: bool) -> nn.Module:
    return nn.Sequential(place.crop(), replace(place, out_channels=outputs).conv(bias))


def _squeezed(place: Site, middle: int, outputs: int, bias: bool) -> nn.Module:
    """A 1x1 convolution to fewer channels, ReLU, and the window."""
    middle = max(middle, 1)
    squeeze = nn.Conv2d(place.in_channels, middle, 1)
    return nn.Sequential(squeeze, nn.ReLU(), _window(replace(place, in_channels=middle), outputs, bias))
