"""Coordinate attention."""

from __future__ import annotations

from timm.layers.coord_attn import CoordAttn

from ablab.registry import register


@register("attention", "ca", paper="https://arxiv.org/abs/2103.02907")
class CoordinateAttention(CoordAttn):
    """Each place times a gate for its row and one for its column.  (B, C, H, W) -> (B, C, H, W)

    `reduction`: how many times narrower the middle is, though never below 8 channels (Hou et al. 2021, section 3.2
    and their code). The module is timm's.
    """

    def __init__(self, channels: int, reduction: int = 32) -> None:
        super().__init__(channels, rd_channels=max(channels // reduction, 8))
