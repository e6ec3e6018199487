"""The micro-factorised convolution of MicroNet."""

from __future__ import annotations

from dataclasses import replace
from math import gcd, sqrt

from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.parts.conv.grouped import shuffle
from ablab.parts.conv.part import ConvPart
from ablab.parts.conv.site import Padding, Pair, Site, Size, site
from ablab.registry import register


@register("conv", "micro-factorised", paper="https://arxiv.org/abs/2108.05894")
class MicroFactorisedConv(ConvPart):
    """k x 1 and 1 x k a channel, then a grouped 1x1 squeeze, a shuffle, a grouped 1x1 stretch.  -> as nn.Conv2d

    Li et al. 2021, section 3: the 1x1's matrix is P Phi Q^T, with C / `reduction` channels between and
    G = sqrt(C / `reduction`) groups (C the smaller of in and out; G made a divisor of all three), so that every output
    sees every input along one path, at 2 C^2 / (`reduction` G) weights. All but the last stage start with variance
    1 / fan-in, so that the whole starts at nn.Conv2d's scale.
    """

    last = "stretch"

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
        reduction: int = 4,
    ) -> None:
        place = site(in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        place.assert_ungrouped("micro-factorised")
        if not 1 <= reduction <= min(in_channels, out_channels):
            raise ConfigError(
                f"micro-factorised divides channels by a reduction of 1 or more, got {reduction} for {in_channels} -> "
                f"{out_channels} channels; take less, or narrow the edit"
            )
        super().__init__(place)
        middle = min(in_channels, out_channels) // reduction
        self.count = _divisor_near(sqrt(middle), gcd(in_channels, middle, out_channels))
        self.columns, self.rows = _line(place, 0), _line(place, 1)
        self.squeeze = nn.Conv2d(in_channels, middle, 1, groups=self.count, bias=False)
        self.stretch = nn.Conv2d(middle, out_channels, 1, groups=self.count, bias=bias)
        for stage in (self.columns, self.rows, self.squeeze):
            nn.init.kaiming_normal_(stage.weight, nonlinearity="linear")

    def forward(self, x: Tensor) -> Tensor:
        x = self.rows(self.columns(x))
        return self.stretch(shuffle(self.squeeze(x), self.count))


def _line(place: Site, axis: int) -> nn.Conv2d:
    """The depthwise convolution of one axis: the site's window there, and nothing on the other axis."""

    def there(size: Pair, other: int) -> Pair:
        return (size[0], other) if axis == 0 else (other, size[1])

    return replace(
        place,
        out_channels=place.in_channels,
        groups=place.in_channels,
        kernel_size=there(place.kernel_size, 1),
        stride=there(place.stride, 1),
        padding=there(place.padding, 0),
        dilation=there(place.dilation, 1),
    ).conv()


def _divisor_near(wanted: float, number: int) -> int:
    """The divisor of a number that is nearest to what is wanted."""
    return min((d for d in range(1, number + 1) if number % d == 0), key=lambda d: abs(d - wanted))
