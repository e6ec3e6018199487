"""Upsampling with weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.registry import register


@register("upsample", "transposed", paper="https://distill.pub/2016/deconv-checkerboard")
class TransposedConv(nn.ConvTranspose2d):
    """A transposed convolution of stride `scale`.  (B, C, H, W) -> (B, C, scale * H, scale * W)

    `kernel_size` must be a multiple of `scale` (None: twice), so that as many weights meet in every new cell: else it
    draws a checkerboard from the start (Odena et al. 2016). Weights that are learnt can draw one all the same;
    `resize-conv` cannot.
    """

    def __init__(self, channels: int, scale: int = 2, kernel_size: int | None = None) -> None:
        size = 2 * scale if kernel_size is None else kernel_size
        if size < scale or size % scale:
            near = f"{max(size // scale, 1) * scale} or {(size // scale + 1) * scale}"
            raise ConfigError(f"kernel_size must be a multiple of scale={scale}, against checkerboards; take {near}")
        padding = (size - scale + 1) // 2
        more = scale - size + 2 * padding  # a row and column where padding takes one too many
        super().__init__(channels, channels, size, scale, padding, output_padding=more)


@register("upsample", "resize-conv", paper="https://distill.pub/2016/deconv-checkerboard")
class ResizeConv(nn.Module):
    """Nearest neighbours, then a 3x3 convolution.  (B, C, H, W) -> (B, C, scale * H, scale * W)

    Odena et al. 2016: every new cell inside is made by the same weights, so there is no checkerboard; the convolution
    runs on the finer map and costs scale^2 times one on the coarse map.
    """

    def __init__(self, channels: int, scale: int = 2) -> None:
        super().__init__()
        self.resize = nn.Upsample(scale_factor=float(scale), mode="nearest")
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.resize(x))


@register("upsample", "pixel-shuffle", paper="https://arxiv.org/abs/1609.05158")
class PixelShuffleConv(nn.Module):
    """A 3x3 convolution to scale^2 as many channels, dealt out as cells.  (B, C, H, W) -> (B, C, scale * H, scale * W)

    Shi et al. 2016, equation 4. It starts as a convolution with nearest neighbours after it (Aitken et al. 2017,
    https://arxiv.org/abs/1707.02937), so without a checkerboard; training may bring one.
    """

    def __init__(self, channels: int, scale: int = 2) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)
        with torch.no_grad():
            for start in (self.conv.weight, self.conv.bias):
                assert start is not None
                start.copy_(start[:: scale**2].repeat_interleave(scale**2, dim=0))

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.conv(x))
