"""Squeeze and excitation."""

from __future__ import annotations

from timm.layers.squeeze_excite import SEModule
from torch import Tensor

from ablab.parts.attention.fuse import Fuse, fused, way
from ablab.registry import register


@register("attention", "se", paper="https://arxiv.org/abs/1709.01507", alternatives={"fuse": ["add"]})
class SE(SEModule):
    """Each channel times a gate that two 1x1 convolutions read off the channel means.  (B, C, H, W) -> (B, C, H, W)

    `reduction`: how many times narrower the middle is (Hu et al. 2018, section 3.2); `fuse`: see `fuse.py`. The module
    is timm's, which by itself would round the middle to a multiple of 8.
    """

    def __init__(self, channels: int, reduction: int = 16, fuse: Fuse = "multiply") -> None:
        super().__init__(channels, rd_channels=max(channels // reduction, 1))
        self.way = way(fuse)

    def forward(self, x: Tensor) -> Tensor:
        return fused(x, super().forward(x), self.way)  # type: ignore[no-untyped-call]
