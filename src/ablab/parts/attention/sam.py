"""YOLOv4's SAM."""

from __future__ import annotations

from torch import Tensor, nn

from ablab.parts.attention.fuse import Fuse, fused, way
from ablab.registry import register


@register("attention", "sam", paper="https://arxiv.org/abs/2004.10934", alternatives={"fuse": ["add"]})
class SAM(nn.Module):
    """x * sigmoid(conv1x1(x)): a gate of its own for each channel at each place.  (B, C, H, W) -> (B, C, H, W)

    Bochkovskiy et al. 2020, figure 5(b); `fuse`: see `fuse.py`. It has CBAM's place gate in its name, but looks at one
    place alone: there is no pooling, no window, and C * (C + 1) parameters.
    """

    def __init__(self, channels: int, fuse: Fuse = "multiply") -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)
        self.way = way(fuse)

    def forward(self, x: Tensor) -> Tensor:
        return fused(x, x * self.conv(x).sigmoid(), self.way)
