"""Maxout: the largest of several linear maps."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.registry import register


@register("activation", "maxout", paper="https://arxiv.org/abs/1302.4389")
class Maxout(nn.Module):
    """max over k of W_k x + b_k, a 1x1 convolution with `pieces` outputs a channel.  (B, C, H, W) -> (B, C, H, W)

    Goodfellow et al. 2013, section 3. It holds ReLU (pieces x and 0), |x| and every leaky slope as special cases. It is
    no mere activation: it mixes channels and brings pieces * (C^2 + C) parameters, so compare it with a network made
    wider by as much. Weights start with variance 1 / C, with which the mean square of the map is kept.
    """

    def __init__(self, channels: int, pieces: int = 2) -> None:
        super().__init__()
        if pieces < 2:
            raise ConfigError(f"maxout: pieces must be 2 or more, got {pieces}; with one piece it is a convolution")
        self.pieces = pieces
        self.maps = nn.Conv2d(channels, pieces * channels, 1)
        nn.init.kaiming_normal_(self.maps.weight, nonlinearity="linear")
        nn.init.zeros_(self.maps.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return reduce(torch.maximum, self.maps(x).chunk(self.pieces, dim=1))  # pieces x (B, C, H, W)
