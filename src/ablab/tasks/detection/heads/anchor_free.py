"""A decoupled anchor-free head: each cell says how far the four sides of its object are, as distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ablab.tasks.detection.blocks import Conv
from ablab.tasks.detection.grid import Grid, along

NEAR = 2.0  # cells: the mean distance that every side starts with
PRIOR = 0.01  # the score that every class starts with (Lin et al. 2017, section 4.1)


class AnchorFreeHead(nn.Module):
    """Two branches a level: one for the sides (left, top, right, bottom), one for the classes.

    A side's distance is the mean of a distribution over 0 .. bins - 1 cells (Li et al. 2020,
    https://arxiv.org/abs/2006.04388, equation 5); there is no objectness: a class's score is its probability. The
    branches are apart since they want different features (Ge et al. 2021, https://arxiv.org/abs/2107.08430).

    `forward` returns raw maps (B, 4 * bins + C, H, W), the bins of a side side by side.
    """

    def __init__(self, channels: Sequence[int], classes: int, bins: int, strides: Sequence[int]) -> None:
        super().__init__()
        self.classes, self.bins, self.strides = classes, bins, tuple(strides)
        width = 3 * channels[0] // 4
        self.sides = nn.ModuleList(_branch(c, width, 4 * bins) for c in channels)
        self.labels = nn.ModuleList(_branch(c, width, classes) for c in channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Boxes start about four cells wide, each bin less likely than the one before: a flat start puts a side half
        the reach away, so that small objects overlap nothing, score nothing and are hardly learnt."""
        fall = torch.arange(self.bins) * math.log(NEAR / (1 + NEAR))
        with torch.no_grad():
            for branch in self.sides:
                branch.get_parameter("1.bias").copy_(fall.repeat(4))
            for branch in self.labels:
                branch.get_parameter("1.bias").fill_(-math.log((1 - PRIOR) / PRIOR))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """(B, C_l, H_l, W_l) a level -> (B, 4 * bins + classes, H_l, W_l) a level"""
        levels = zip(self.sides, self.labels, maps, strict=True)
        return [torch.cat((sides(x), labels(x)), dim=1) for sides, labels, x in levels]

    def decode(self, raw: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Raw maps -> boxes (B, N, 4) x1 y1 x2 y2 in pixels and scores (B, N, classes) in 0..1, in float32."""
        grid = Grid(self.strides, tuple((y.shape[2], y.shape[3]) for y in raw), raw[0].device)
        return decode_distances(along(raw), grid, self.bins)


def _branch(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """One 3x3 convolution, then 1x1: a second 3x3 costs a tenth of a step, for no AP that a seed of BCCD could show."""
    return nn.Sequential(Conv(inputs, width, 3), nn.Conv2d(width, outputs, 1))


def decode_distances(raw: Tensor, grid: Grid, bins: int) -> tuple[Tensor, Tensor]:
    """(B, N, 4 * bins + C) -> boxes (B, N, 4) and scores (B, N, C); see `AnchorFreeHead.decode`."""
    sides = raw[..., : 4 * bins].reshape(*raw.shape[:-1], 4, bins)
    return boxes_at(mean_distance(sides), grid.centres(), grid.pitch()), raw[..., 4 * bins :].sigmoid()


def mean_distance(sides: Tensor) -> Tensor:
    """The mean of each side's distribution, in cells.  logits (..., 4, bins) -> (..., 4)"""
    bins = torch.arange(sides.shape[-1], dtype=sides.dtype, device=sides.device)
    # Not `softmax(...) @ bins`: torch's softmax is six times as slow over 8 numbers as over 16, and autocast would
    # round the product to bf16.
    weights = (sides - sides.detach().amax(dim=-1, keepdim=True)).exp()
    return (weights * bins).sum(dim=-1) / weights.sum(dim=-1)


def boxes_at(distances: Tensor, centre: Tensor, stride: Tensor) -> Tensor:
    """Boxes from distances left, top, right, bottom in cells (..., 4), centre (..., 2) in pixels, stride (..., 1)."""
    pixels = distances * stride
    return torch.cat((centre - pixels[..., :2], centre + pixels[..., 2:]), dim=-1)


def distances_of(boxes: Tensor, centre: Tensor, stride: Tensor) -> Tensor:
    """The inverse of `boxes_at`; negative where the centre is outside.  (..., 4) -> (..., 4)"""
    return torch.cat((centre - boxes[..., :2], boxes[..., 2:] - centre), dim=-1) / stride
