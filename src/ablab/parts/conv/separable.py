"""Depthwise-separable convolution."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.parts.conv.carrying import put_bias, weights
from ablab.parts.conv.part import ConvPart
from ablab.parts.conv.site import Padding, Size, site
from ablab.registry import register


def carry(old: nn.Module, new: DepthwiseSeparableConv) -> None:
    """The nearest product of a kernel a channel and a number a pair of channels, in least squares.

    Exact where an input channel's kernels are multiples of one another; else the error is what the singular values
    after the first leave. Raises ConfigError where a norm stands between the two.
    """
    weight, bias = weights(old, new.place)
    if new.between == "bn-relu":
        raise ConfigError("weights can be carried over only with between='nothing': a ReLU keeps no convolution")
    put_bias(bias, new.pointwise)
    with torch.no_grad():
        if isinstance(new.depthwise, nn.Identity):
            new.pointwise.weight.copy_(weight)
            return
        groups = new.place.groups
        grouped = torch.unflatten(weight.double(), 0, (groups, -1))  # (groups, out / groups, in / groups, kh, kw)
        a_channel = grouped.transpose(1, 2).flatten(0, 1).flatten(2)  # (in, out / groups, kh * kw)
        left, value, right = torch.linalg.svd(a_channel, full_matrices=False)
        root = value[:, :1].sqrt()  # shared evenly, so that neither stage starts far larger than the other
        mixed = torch.unflatten(left[:, :, 0] * root, 0, (groups, -1)).transpose(1, 2).flatten(0, 1)
        new.pointwise.weight.copy_(mixed[:, :, None, None])  # (out, in / groups, 1, 1)
        new.depthwise.weight.copy_((right[:, 0] * root).reshape(new.depthwise.weight.shape))


@register(
    "conv",
    "depthwise-separable",
    paper="https://arxiv.org/abs/1704.04861",
    carry=carry,
    alternatives={"between": ["bn-relu"]},
)
class DepthwiseSeparableConv(ConvPart):
    """A k x k convolution a channel, then a 1x1 over channels.  (B, in, H, W) -> (B, out, H', W') as nn.Conv2d

    Costs 1 / out + 1 / k^2 of the convolution that it replaces, in weights and in multiplications (Howard et al. 2017,
    section 3.1); in time much less is saved, for the depthwise stage waits for memory. `between`: `nothing` (Chollet
    2017, section 4.7, found that best) or `bn-relu` (MobileNet). The depthwise stage has no bias, and starts with
    variance 1 / k^2, so that the whole starts at nn.Conv2d's scale. Groups stay, in the 1x1. A 1x1 convolution has
    nothing to separate and stays one.
    """

    last = "pointwise"
    depthwise: nn.Conv2d | nn.Identity

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
        between: Literal["nothing", "bn-relu"] = "nothing",
    ) -> None:
        place = site(in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        super().__init__(place)
        self.between = between
        self.middle = _between(between, in_channels)
        if place.kernel_size == (1, 1):
            self.depthwise, self.pointwise = nn.Identity(), place.conv(bias)
            return
        self.depthwise = replace(place, out_channels=in_channels, groups=in_channels).conv()
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, groups=groups, bias=bias)
        nn.init.kaiming_normal_(self.depthwise.weight, nonlinearity="linear")

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.middle(self.depthwise(x)))


def _between(name: str, channels: int) -> nn.Module:
    if name == "nothing":
        return nn.Identity()
    if name == "bn-relu":
        return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
    raise ConfigError(f"between must be 'nothing' or 'bn-relu', got '{name}'")
