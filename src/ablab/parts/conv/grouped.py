"""Grouped convolution with channel shuffle."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.parts.conv.carrying import put_bias, weights
from ablab.parts.conv.part import ConvPart
from ablab.parts.conv.site import Padding, Size, site
from ablab.registry import register


def shuffle(x: Tensor, into: int, groups: int = 1) -> Tensor:
    """Deal each group's `into` hands out again, one channel of each hand in turn.  (B, C, ...) -> (B, C, ...)"""
    return torch.unflatten(x, 1, (groups, into, -1)).transpose(2, 3).flatten(1, 3)


def carry(old: nn.Module, new: GroupedConv) -> None:
    """The blocks of the weight that the groups keep. Exact where the others are 0."""
    place, into = new.place, new.into
    weight, bias = weights(old, place)
    # The output that row r of the grouped convolution is shuffled to.
    rows = torch.arange(place.out_channels, device=weight.device).reshape(1, -1)
    after = shuffle(rows, into, place.groups)[0].argsort()
    dealt = torch.unflatten(weight[after], 0, (place.groups, into, -1))
    dealt = torch.unflatten(dealt, 3, (into, -1))  # (groups, into, out a hand, into, in a hand, kh, kw)
    kept = torch.stack([dealt[:, hand, :, hand] for hand in range(into)], dim=1)
    with torch.no_grad():
        new.conv.weight.copy_(kept.flatten(0, 2))
    put_bias(None if bias is None else bias[after], new.conv)


@register("conv", "grouped", paper="https://arxiv.org/abs/1707.01083", carry=carry)
class GroupedConv(ConvPart):
    """A convolution in `into` groups, then a channel shuffle, at 1 / `into` of the cost.  -> as nn.Conv2d

    Zhang et al. 2018 (ShuffleNet), figure 1: the shuffle lets the next grouped layer see every group. A convolution
    that has groups already has each of them divided. Fewer operations are not as much less time: a grouped
    convolution moves as much memory.
    """

    last = "conv"

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
        into: int = 4,
    ) -> None:
        super().__init__(site(in_channels, out_channels, kernel_size, stride, padding, dilation, groups))
        self.into = into
        if into < 2 or in_channels % (into * groups) or out_channels % (into * groups):
            raise ConfigError(
                f"grouped wants 2 or more groups that divide the channels, got into={into} for {in_channels} -> "
                f"{out_channels} channels in {groups} groups; narrow the edit, or take another number"
            )
        self.conv = replace(self.place, groups=into * groups).conv(bias)

    def forward(self, x: Tensor) -> Tensor:
        return shuffle(self.conv(x), self.into, self.place.groups)
