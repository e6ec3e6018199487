"""How many numbers a network learns."""

from __future__ import annotations

from torch import nn


def parameters(model: nn.Module) -> int:
    """The number of learnable numbers; a parameter that is shared counts once, buffers do not count."""
    return sum(parameter.numel() for parameter in model.parameters())
