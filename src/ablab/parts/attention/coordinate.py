"""Coordinate attention."""

from __future__ import annotations

from timm.layers.coord_attn import CoordAttn
from torch import Tensor

from ablab.parts.attention.fuse import Fuse, fused, way
from ablab.registry import register


@register("attention", "ca", paper="https://arxiv.org/abs/2103.02907", alternatives={"fuse": ["add"]})
class CoordinateAttention(CoordAttn):
    """Each place times a gate for its row and one for its column.  (B, C, H, W) -> (B, C, H, W)

    `reduction`: how many times narrower the middle is, though never below 8 channels (Hou et al. 2021, section 3.2
    and their code); `fuse`: see `fuse.py`. The module is timm's: its convolutions are 1x1, without bias, and there is
    no kernel to choose; timm's own middle is 24 times narrower and rounded to a multiple of 8.
    """

    def __init__(self, channels: int, reduction: int = 32, fuse: Fuse = "multiply") -> None:
        super().__init__(channels, rd_channels=max(channels // reduction, 8))
        self.way = way(fuse)

    def forward(self, x: Tensor) -> Tensor:
        return fused(x, super().forward(x), self.way)  # type: ignore[no-untyped-call]
