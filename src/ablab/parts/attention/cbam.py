"""Convolutional block attention."""

from __future__ import annotations

from timm.layers.cbam import CbamModule
from torch import Tensor

from ablab.parts.attention.fuse import Fuse, fused, way
from ablab.parts.attention.kernel import odd
from ablab.registry import register


@register("attention", "cbam", paper="https://arxiv.org/abs/1807.06521", alternatives={"fuse": ["add"]})
class CBAM(CbamModule):
    """A gate a channel, then a gate a place, each from mean and maximum.  (B, C, H, W) -> (B, C, H, W)

    `reduction`: how many times narrower the channel gate's middle is; `kernel_size`: side of the place gate's
    convolution, odd (Woo et al. 2018, section 3); `fuse`: how the twice weighed map meets x, see `fuse.py`. The module
    is timm's.
    """

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7, fuse: Fuse = "multiply") -> None:
        super().__init__(channels, rd_channels=max(channels // reduction, 1), spatial_kernel_size=odd(kernel_size))
        self.way = way(fuse)

    def forward(self, x: Tensor) -> Tensor:
        return fused(x, super().forward(x), self.way)  # type: ignore[no-untyped-call]
