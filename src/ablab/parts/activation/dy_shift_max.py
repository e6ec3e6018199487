"""Dynamic Shift-Max: MicroNet's activation, which mixes groups of channels."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.registry import register


@register(
    "activation",
    "dy-shift-max",
    paper="https://arxiv.org/abs/2108.05894",
    alternatives={"groups": [2, 4], "shifts": [3], "pieces": [3]},
)
class DYShiftMax(nn.Module):
    """y_i = max_k sum_j a_ij^k(x) * x_((i + j * C / groups) mod C).  (B, C, H, W) -> (B, C, H, W)

    Li et al. 2021, equations 5 to 7: `pieces` (K) sums of `shifts` (J) channels, each from the next of `groups`. The
    coefficients come from the channel means through two linear layers, C / `reduction` wide between them, clamped to
    +-1, with 1 added to the first (j = 0, k = 1): with the second layer at 0 it is ReLU, and it starts near that.

    By default groups is the least divisor of C that is not below sqrt(C). The authors' code, unlike their equation 6,
    also moves one channel on within the group. Claimed to cost little: so it does in FLOPs, but each sum reads and
    writes the whole map, so that its latency is several times ReLU's.
    """

    def __init__(
        self, channels: int, groups: int | None = None, shifts: int = 2, pieces: int = 2, reduction: int = 4
    ) -> None:
        super().__init__()
        self.groups = groups or next(g for g in range(1, channels + 1) if channels % g == 0 and g * g >= channels)
        if channels % self.groups or not 1 <= shifts <= self.groups or pieces < 2:
            raise ConfigError(
                f"dy-shift-max: groups must divide the {channels} channels, shifts be 1 to groups and pieces 2 or "
                f"more; got groups {self.groups}, shifts {shifts}, pieces {pieces}"
            )
        self.shifts, self.pieces = shifts, pieces
        narrow = max(channels // reduction, 4)
        self.squeeze = nn.Linear(channels, narrow)
        self.excite = nn.Linear(narrow, pieces * shifts * channels)
        nn.init.normal_(self.excite.weight, std=0.01)
        nn.init.zeros_(self.excite.bias)

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        raw = self.excite(self.squeeze(x.mean((2, 3))).clamp(min=0))
        # 2 * hardsigmoid(raw) - 1, as one clamp
        a = (raw / 3).clamp(-1, 1).view(-1, self.pieces, self.shifts, channels, 1, 1)
        moved = [x.roll(-j * channels // self.groups, 1) for j in range(1, self.shifts)]
        sums = []
        for k in range(self.pieces):
            total = x * (a[:, k, 0] + 1 if k == 0 else a[:, k, 0])
            for j, other in enumerate(moved, start=1):
                total = torch.addcmul(total, other, a[:, k, j])
            sums.append(total)
        return reduce(torch.maximum, sums)
