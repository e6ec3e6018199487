"""Where a convolution stands: its channels and its window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from torch import nn

from ablab.errors import ConfigError

Size = int | Sequence[int]  # both axes, or (height, width)
Padding = Size | str  # "same" and "valid" as nn.Conv2d has them
Pair = tuple[int, int]


@dataclass(frozen=True)
class Site:
    """What nn.Conv2d is told, each size as (height, width).

    Padding may be negative in a site made by `window`: the map is cropped first.
    """

    in_channels: int
    out_channels: int
    kernel_size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    def window(self, kernel_size: Size | None = None, dilation: Size | None = None) -> Site:
        """The site of another kernel with the same centres, so that the output keeps its size.

        Raises ConfigError where the two spans differ by an odd number, so that no padding fits.
        """
        kernel = self.kernel_size if kernel_size is None else pair(kernel_size)
        rate = self.dilation if dilation is None else pair(dilation)
        grown = [r * (k - 1) - s for k, r, s in zip(kernel, rate, spans(self), strict=True)]
        if any(growth % 2 for growth in grown):
            raise ConfigError(
                f"a kernel of {kernel} at dilation {rate} cannot share its centre with one of {self.kernel_size} at "
                f"{self.dilation}; both must be odd, or both even"
            )
        padding = (self.padding[0] + grown[0] // 2, self.padding[1] + grown[1] // 2)
        return replace(self, kernel_size=kernel, dilation=rate, padding=padding)

    def assert_centred(self, what: str, least: int = 3) -> None:
        """Raise ConfigError in `what`'s name where the kernel has no centre or is too small."""
        if min(self.kernel_size) < least or any(k % 2 == 0 for k in self.kernel_size):
            raise ConfigError(
                f"{what} wants an odd kernel of {least} or more on both axes, got {self.kernel_size}; narrow the edit "
                f"to such convolutions"
            )

    def assert_ungrouped(self, what: str) -> None:
        """Raise ConfigError in `what`'s name where an output sees only its group's inputs."""
        if self.groups != 1:
            raise ConfigError(f"{what} mixes all channels, and this convolution has {self.groups} groups; leave it out")

    @property
    def keeps_shape(self) -> bool:
        """Whether what comes out has the shape of what goes in."""
        same = all(2 * p == s for p, s in zip(self.padding, spans(self), strict=True))
        return same and self.stride == (1, 1) and self.in_channels == self.out_channels

    def conv(self, bias: bool = False) -> nn.Conv2d:
        """The convolution of this site, without its crop where padding is negative."""
        padding = (max(self.padding[0], 0), max(self.padding[1], 0))
        return nn.Conv2d(
            self.in_channels,
            self.out_channels,
            self.kernel_size,
            self.stride,
            padding,
            self.dilation,
            self.groups,
            bias=bias,
        )

    def crop(self) -> nn.Module:
        """What goes ahead of `conv`: a crop where padding is negative, else nothing."""
        vertical, horizontal = min(self.padding[0], 0), min(self.padding[1], 0)
        if vertical == horizontal == 0:
            return nn.Identity()
        return nn.ZeroPad2d((horizontal, horizontal, vertical, vertical))


def site(
    in_channels: int,
    out_channels: int,
    kernel_size: Size,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Site:
    """A site from what nn.Conv2d takes. Raises ConfigError for a padding that differs by side or is unknown."""
    bare = Site(in_channels, out_channels, pair(kernel_size), pair(stride), (0, 0), pair(dilation), groups)
    if padding == "same":
        vertical, horizontal = spans(bare)
        if vertical % 2 or horizontal % 2:
            raise ConfigError(f"padding 'same' differs by side for a kernel of {bare.kernel_size}; take an odd kernel")
        return replace(bare, padding=(vertical // 2, horizontal // 2))
    if padding == "valid":
        return bare
    if isinstance(padding, str):
        raise ConfigError(f"padding must be a number, a pair, 'same' or 'valid', got '{padding}'")
    return replace(bare, padding=pair(padding))


def site_of(conv: nn.Conv2d) -> Site:
    """The site that a convolution stands at."""
    return site(**{field.name: getattr(conv, field.name) for field in fields(Site)})


def spans(place: Site) -> Pair:
    """How far the window's last cell is from its first, a number an axis."""
    return (
        place.dilation[0] * (place.kernel_size[0] - 1),
        place.dilation[1] * (place.kernel_size[1] - 1),
    )


def pair(size: Size) -> Pair:
    """(height, width) of a size."""
    if isinstance(size, int):
        return (size, size)
    height, width = size
    return (height, width)
