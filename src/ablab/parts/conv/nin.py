"""The mlpconv layer of Network in Network."""

from __future__ import annotations

from itertools import chain

from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.parts.conv.part import ConvPart
from ablab.parts.conv.site import Padding, Size, site
from ablab.registry import register


@register("conv", "nin", paper="https://arxiv.org/abs/1312.4400")
class MLPConv(ConvPart):
    """A convolution and `depth` 1x1 convolutions, with ReLU between: a small network that slides.  -> as nn.Conv2d

    Lin et al. 2014, equation 2, whose networks have depth 2. The paper's last ReLU is left to the network.
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
        depth: int = 2,
    ) -> None:
        super().__init__(site(in_channels, out_channels, kernel_size, stride, padding, dilation, groups))
        if depth < 1:
            raise ConfigError(f"nin without a 1x1 convolution is nn.Conv2d; depth must be 1 or more, got {depth}")
        self.last = f"points.{2 * depth - 1}"
        self.window = self.place.conv(bias=True)
        points = [nn.Conv2d(out_channels, out_channels, 1, bias=bias or left > 0) for left in reversed(range(depth))]
        self.points = nn.Sequential(*chain.from_iterable((nn.ReLU(), point) for point in points))

    def forward(self, x: Tensor) -> Tensor:
        return self.points(self.window(x))
