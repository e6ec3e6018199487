"""Swish with a slope that learns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.registry import register


def _carry(old: nn.Module, new: Swish) -> None:
    """Begin as the SiLU or Swish that stood there: exact."""
    if not isinstance(old, nn.SiLU | Swish):
        raise ConfigError(f"swish can begin as a SiLU, not as a {type(old).__name__}; replace it instead")
    with torch.no_grad():
        new.beta.fill_(1.0 if isinstance(old, nn.SiLU) else float(old.beta))


@register("activation", "swish", paper="https://arxiv.org/abs/1710.05941", carry=_carry)
class Swish(nn.Module):
    """x * sigmoid(beta * x), with one beta a layer that learns from `beta`.  (*) -> (*)

    Ramachandran et al. 2017, section 4. With beta 1 it is SiLU, with 0 half the identity, and with beta large ReLU. It
    is as little monotonic as SiLU: its least slope is -0.0998 whatever beta is, at -2.3994 / beta. It keeps two maps
    for the backward pass where `silu`, one fused operation, keeps one.
    """

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        # No dimension: one of (1,) would turn a bfloat16 map under autocast into float32.
        self.beta = nn.Parameter(torch.tensor(float(beta)))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.beta * x)
