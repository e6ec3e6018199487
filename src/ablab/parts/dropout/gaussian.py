"""Gaussian dropout."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.registry import register


@register("dropout", "gaussian-dropout", paper="https://jmlr.org/papers/v15/srivastava14a.html")
class GaussianDropout(nn.Module):
    """x * r with r ~ N(1, p / (1 - p)) in training.  (*) -> (*)

    Srivastava et al. 2014, section 10, where p is the share that is kept; here it is the share that dropout would drop,
    whose noise has the same mean and variance. Nothing is dropped, but at p 0.5 a sixth of the signs flip.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ConfigError(f"gaussian-dropout: p must be at least 0 and below 1, got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * torch.empty_like(x).normal_(1, (self.p / (1 - self.p)) ** 0.5)

    def extra_repr(self) -> str:
        """What its `print` shows."""
        return f"p={self.p}"
