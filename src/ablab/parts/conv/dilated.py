"""Dilated convolution."""

from __future__ import annotations

import torch
from torch import nn

from ablab.errors import ConfigError
from ablab.parts.conv.carrying import put_bias, weights
from ablab.parts.conv.site import Padding, Size, site, site_of
from ablab.registry import register


def carry(old: nn.Module, new: DilatedConv) -> None:
    """The same weights, further apart. Another function, unless the map is constant."""
    dilation = old.dilation if isinstance(old, nn.Conv2d) else 1
    weight, bias = weights(old, site_of(new).window(dilation=dilation))
    put_bias(bias, new)
    with torch.no_grad():
        new.weight.copy_(weight)


@register("conv", "dilated", paper="https://arxiv.org/abs/1511.07122", carry=carry)
class DilatedConv(nn.Conv2d):
    """A convolution whose window has gaps of `rate` - 1 cells, padded so that the shape stays.  -> as nn.Conv2d

    Yu & Koltun 2016, equation 2. It sees (k - 1) * rate + 1 cells at the cost of k. Equal rates in a row leave a
    grid: with rate 2 throughout, a place never sees its neighbours. Wang et al. 2018 (section 3.2) therefore ask that
    rates have no common factor and climb in a saw-tooth: give neighbouring layers 1, 3, 5, 1, 3, 5 by an edit each. A
    part cannot know its place in a row of layers, so it takes one rate.
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
        rate: int = 3,
    ) -> None:
        here = site(in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        if max(here.kernel_size) == 1:
            raise ConfigError("a 1x1 kernel has nothing to spread; narrow the edit to larger kernels")
        if here.dilation == (rate, rate):
            raise ConfigError(f"the convolution here has dilation {rate} already; take another rate")
        place = here.window(dilation=rate)
        if min(place.padding) < 0:
            raise ConfigError(
                f"rate {rate} would want a padding of {place.padding} to keep the shape; take a larger one"
            )
        super().__init__(in_channels, out_channels, place.kernel_size, place.stride, place.padding, rate, groups, bias)
