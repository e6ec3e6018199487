"""The effective receptive field: which pixels a cell really listens to, with the weights as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ablab.diagnose.network.maps import maps
from ablab.errors import Diverged
from ablab.measure.forward import still
from ablab.measure.seeding import forked
from ablab.streams import stream

HELD = 0.95  # of the gradient's energy
DRAWS = 4  # random sums of the channels an image


@dataclass(frozen=True, eq=False)
class EffectiveField:
    """What the middle cell of a map listens to.

    `side` is that of the smallest square about the cell's centre, in pixels of the input, that holds 95% of `energy`
    (H, W), which sums to 1; 0 where no gradient arrives. A field that the image cuts off is that much smaller.
    """

    name: str
    side: int
    energy: np.ndarray


def effective_fields(model: nn.Module, images: Tensor, at: Sequence[str] = ()) -> tuple[EffectiveField, ...]:
    """Squared gradient of each map's middle cell with respect to the input, averaged over `images` (B, C, H, W).

    Luo et al. 2016, https://arxiv.org/abs/1701.04128, section 3.2. The cell's channels are summed under random signs,
    so that the expected square is the sum of the channels' own. Maps as in `receptive_fields`.

    Raises Diverged where a gradient is not finite.
    """
    with still(model), torch.enable_grad(), forked("effective field"):
        x = images.detach().clone().requires_grad_()
        found = maps(model, x, at)
        return tuple(_field(name, y, x) for name, y in found.items())


def _field(name: str, found: Tensor, x: Tensor) -> EffectiveField:
    (rows, columns), (height, width) = found.shape[2:], x.shape[2:]
    row, column = rows // 2, columns // 2
    cell = found[:, :, row, column]  # (B, C)
    rng = stream("effective field", name)
    energy = torch.zeros(height, width, dtype=torch.float64, device=x.device)
    for _ in range(DRAWS):
        signs = torch.from_numpy(rng.choice([-1.0, 1.0], size=tuple(cell.shape))).to(cell)
        (gradient,) = torch.autograd.grad(cell, x, signs, retain_graph=True)
        energy += gradient.double().square().sum((0, 1))
    spread = energy.cpu().numpy()
    total = float(spread.sum())
    if not np.isfinite(total):
        raise Diverged(f"the gradient of {name} with respect to the image is not finite; look at the weights first")
    if total == 0:
        return EffectiveField(name, 0, spread)
    centre = (row + 0.5) * height / rows - 0.5, (column + 0.5) * width / columns - 0.5
    return EffectiveField(name, _side(spread / total, centre), spread / total)


def _side(energy: np.ndarray, centre: tuple[float, float]) -> int:
    """The side of the smallest square about `centre` (row, column) that holds 95%.  (H, W) -> pixels"""
    down = np.abs(np.arange(energy.shape[0]) - centre[0])
    across = np.abs(np.arange(energy.shape[1]) - centre[1])
    away = np.maximum(down[:, None], across[None]).ravel()
    order = np.argsort(away, kind="stable")
    held = np.searchsorted(np.cumsum(energy.ravel()[order]), HELD)
    return int(np.ceil(2 * away[order][min(held, len(order) - 1)] + 1))
