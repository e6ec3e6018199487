"""Draws that do not depend on how a weight lies in memory, nor on its type."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ablab.errors import ConfigError


@torch.no_grad()
def redraw(weight: Tensor, draw: Callable[[Tensor], object]) -> None:
    """Fill `weight` (out, in, ...) by `draw`, which fills a contiguous tensor of its shape.

    Half precision is drawn in float32 and rounded: half has no QR, and channels_last would order the draws otherwise.
    Raises ConfigError for fewer than two dimensions, of which there is no fan.
    """
    if weight.dim() < 2:
        raise ConfigError(f"an initialisation wants a weight (out, in, ...), got {tuple(weight.shape)}")
    wide = torch.float64 if weight.dtype == torch.float64 else torch.float32
    drawn = torch.empty(weight.shape, dtype=wide, device=weight.device)
    draw(drawn)
    weight.copy_(drawn)


def one_of(name: str, value: str, valid: tuple[str, ...]) -> None:
    """Raise ConfigError unless `value` is one of the words."""
    if value not in valid:
        raise ConfigError(f"{name} is {value!r}; expected {' or '.join(map(repr, valid))}")
