"""Pointwise convolution."""

from __future__ import annotations

import torch
from torch import nn

from ablab.errors import ConfigError
from ablab.parts.conv.carrying import put_bias, weights
from ablab.parts.conv.site import Padding, Size, site
from ablab.registry import register


def carry(old: nn.Module, new: PointwiseConv) -> None:
    """The kernel's centre. Exact where the rest is 0."""
    weight, bias = weights(old, new.place)
    put_bias(bias, new)
    high, wide = new.place.kernel_size
    with torch.no_grad():
        new.weight.copy_(weight[:, :, high // 2, wide // 2, None, None])


@register("conv", "pointwise", paper="https://arxiv.org/abs/1312.4400", carry=carry)
class PointwiseConv(nn.Conv2d):
    """A 1x1 convolution at the centres of the window that it replaces: no neighbours.  -> as nn.Conv2d

    The control for what a larger kernel brings (1x1 convolutions: Lin et al. 2014, section 3.1).
    """

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
        place.assert_centred("pointwise", least=1)
        point = place.window(kernel_size=1, dilation=1)
        if min(point.padding) < 0:
            raise ConfigError(
                f"pointwise wants a padding of half the kernel's span, got {place.padding} for {kernel_size}"
            )
        super().__init__(in_channels, out_channels, 1, point.stride, point.padding, 1, groups, bias)
        self.place = place
