"""Uniform dropout."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.registry import register


@register("dropout", "uniform-dropout", paper="https://arxiv.org/abs/1801.05134")
class UniformDropout(nn.Module):
    """x * r with r ~ U(1 - beta, 1 + beta) in training.  (*) -> (*)

    Li et al. 2019, "Uout", with their beta of 0.1: it raises the mean square by beta^2 / 3 only, a third of a percent,
    so that a batch norm behind it is hardly misled. By the same token it is little noise.
    """

    def __init__(self, beta: float = 0.1) -> None:
        super().__init__()
        if not 0 <= beta <= 1:
            raise ConfigError(f"uniform-dropout: beta must be between 0 and 1, got {beta}")
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * torch.empty_like(x).uniform_(1 - self.beta, 1 + self.beta)

    def extra_repr(self) -> str:
        """What its `print` shows."""
        return f"beta={self.beta}"
