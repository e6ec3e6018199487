"""A learnt factor a channel behind a module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ablab.registry import register


@register("wrapper", "layer-scale", paper="https://arxiv.org/abs/2103.17239")
class LayerScale(nn.Module):
    """f(x) times a learnt factor a channel, small at first.  (B, C, ...) -> (B, C, ...)

    Touvron et al. 2021, equation 4, meant for the end of a residual branch: with a small `init` the block starts near
    the identity. They take 0.1 up to depth 18, 1e-5 at 24 and 1e-6 beyond. Around a module that is no branch it
    silences what comes after: take `init` 1 there.
    """

    def __init__(self, inner: nn.Module, channels: int, init: float = 1e-5) -> None:
        super().__init__()
        self.inner = inner
        self.factor = nn.Parameter(torch.full((channels,), float(init)))

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        y = self.inner(x, *args, **kwargs)
        return y * self.factor.view(-1, *[1] * (y.dim() - 2))  # (C, 1, 1)
