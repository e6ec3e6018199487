"""Upsampling without weights."""

from __future__ import annotations

from torch import nn

from ablab.registry import register


@register("upsample", "nearest", paper="https://arxiv.org/abs/1612.03144", maps=True)
class Nearest(nn.Upsample):
    """Each cell becomes scale x scale equal ones.  (B, C, H, W) -> (B, C, scale * H, scale * W)

    What feature pyramids use (Lin et al. 2017, section 3). The module is torch's.
    """

    def __init__(self, scale: int = 2) -> None:
        super().__init__(scale_factor=float(scale), mode="nearest")


@register("upsample", "bilinear", paper="https://arxiv.org/abs/1411.4038", maps=True)
class Bilinear(nn.Upsample):
    """Each new cell is a weighted mean of the four around it.  (B, C, H, W) -> (B, C, scale * H, scale * W)

    What FCN starts from (Long et al. 2015, section 3.3). Cells are squares with their value at the centre
    (`align_corners=False`), so that a flat map stays flat and objects stay in place. The module is torch's.
    """

    def __init__(self, scale: int = 2) -> None:
        super().__init__(scale_factor=float(scale), mode="bilinear", align_corners=False)
