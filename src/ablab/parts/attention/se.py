"""Squeeze and excitation."""

from __future__ import annotations

from timm.layers.squeeze_excite import SEModule

from ablab.registry import register


@register("attention", "se", paper="https://arxiv.org/abs/1709.01507")
class SE(SEModule):
    """Each channel times a gate that two 1x1 convolutions read off the channel means.  (B, C, H, W) -> (B, C, H, W)

    `reduction`: how many times narrower the middle is (Hu et al. 2018, section 3.2). The module is timm's.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__(channels, rd_channels=max(channels // reduction, 1))
