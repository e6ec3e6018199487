"""Where predictions stand: the cells of all levels, one after the other, and the raw maps laid out along them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """The N places of an image where something is predicted: level after level, row after row, and in a cell one place
    for each anchor (one where there are no anchors).

    `strides` are pixels a cell, `sizes` (H, W) in cells, for each level; `anchors` (levels, A, 2) are widths and
    heights in pixels, or None.
    """

    strides: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    device: torch.device
    anchors: Tensor | None = None

    @property
    def each(self) -> int:
        """Places in a cell."""
        return 1 if self.anchors is None else self.anchors.shape[1]

    @property
    def counts(self) -> list[int]:
        """Places in each level."""
        return [height * width * self.each for height, width in self.sizes]

    @property
    def starts(self) -> list[int]:
        """The first place of each level."""
        return [0, *accumulate(self.counts)][:-1]

    @property
    def count(self) -> int:
        """N, the places of an image."""
        return sum(self.counts)

    def centres(self) -> Tensor:
        """The middle of each place's cell in pixels.  -> (N, 2) x y"""
        levels = []
        for stride, (height, width) in zip(self.strides, self.sizes, strict=True):
            x = (torch.arange(width, device=self.device) + 0.5) * stride
            y = (torch.arange(height, device=self.device) + 0.5) * stride
            cells = torch.stack((x.expand(height, width), y[:, None].expand(height, width)), dim=-1)  # (H, W, 2)
            levels.append(cells.view(-1, 1, 2).expand(-1, self.each, 2).reshape(-1, 2))
        return torch.cat(levels)

    def pitch(self) -> Tensor:
        """Each place's stride.  -> (N, 1)"""
        return torch.cat(
            [torch.full((n, 1), float(s), device=self.device) for n, s in zip(self.counts, self.strides, strict=True)]
        )

    def sides(self) -> Tensor:
        """Each place's anchor in pixels.  -> (N, 2); only where there are anchors."""
        assert self.anchors is not None
        levels = zip(self.anchors, self.sizes, strict=True)
        return torch.cat([anchors.repeat(height * width, 1) for anchors, (height, width) in levels])


def along(maps: Sequence[Tensor], each: int = 1) -> Tensor:
    """Raw maps in a grid's order.  (B, each * K, H_l, W_l) a level -> (B, N, K) float32

    In the memory format channels_last the levels need no copy of their own.
    """
    levels = [y.permute(0, 2, 3, 1).reshape(y.shape[0], -1, y.shape[1] // each) for y in maps]
    return torch.cat(levels, dim=1).float()
