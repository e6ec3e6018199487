"""FReLU: an activation that sees its neighbours."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ablab.registry import register


@register("activation", "frelu", paper="https://arxiv.org/abs/2007.11824")
class FReLU(nn.Module):
    """max(x, T(x)), where T is a depthwise 3x3 convolution and batch norm.  (B, C, H, W) -> (B, C, H, W)

    Ma et al. 2020, equation 3. The window starts Gaussian. It has no bias: the batch norm would remove it, so that it
    would never learn. Mind what else comes with it: each FReLU widens the receptive field by 2 and adds a batch norm,
    so that a gain is not yet the activation's alone.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.window = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.normal_(self.window.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(x, self.norm(self.window(x)))
