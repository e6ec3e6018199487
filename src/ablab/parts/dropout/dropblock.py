"""DropBlock."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import DropBlock2d, drop_block2d

from ablab.errors import ConfigError
from ablab.registry import register


@register("dropout", "dropblock", paper="https://arxiv.org/abs/1810.12890", maps=True)
class DropBlock(DropBlock2d):  # type: ignore[misc]  # torchvision has no types
    """Squares of a map are 0 in training, about a share p of it; the rest grows.  (B, C, H, W) -> (B, C, H, W)

    Ghiasi et al. 2018, algorithm 1; torchvision's function. Where a map is smaller than `block_size`, the block is the
    largest odd square that fits (torchvision's module fails there on even sides). The mask is made in float32, as its
    sum overflows in half precision. Blocks overlap, so that less than p is dropped, and borders are dropped least: the
    mean is kept over the map, not at each place. The paper raises p over training; here it is constant.
    """

    def __init__(self, p: float = 0.1, block_size: int = 7) -> None:
        if not 0 <= p <= 1 or block_size < 1 or block_size % 2 == 0:
            raise ConfigError(
                f"dropblock: p must be between 0 and 1 and block_size odd and positive, got {p} and {block_size}"
            )
        super().__init__(p, block_size)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        fits = min(self.block_size, *x.shape[2:])
        mask = drop_block2d(torch.ones_like(x, dtype=torch.float32), self.p, fits - 1 + fits % 2)
        return x * mask.to(x.dtype)
