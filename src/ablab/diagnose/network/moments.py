"""Mean and variance of every channel of a map, over batches and positions."""

from __future__ import annotations

import torch
from torch import Tensor


class Moments:
    """Sums by channel, in double precision.  Channels are on axis 1, on the last one of (B, N, C)."""

    def __init__(self) -> None:
        self.count = 0
        self.total: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0

    def add(self, values: Tensor) -> None:
        """Count a batch in."""
        by_channel = values.detach().double().movedim(-1 if values.dim() == 3 else 1, 0).flatten(1)  # (C, n)
        self.count += by_channel.shape[1]
        self.total = self.total + by_channel.sum(1)
        self.squares = self.squares + by_channel.square().sum(1)

    @property
    def deviation(self) -> Tensor:
        """The standard deviation of each channel.  -> (C,)"""
        mean = torch.as_tensor(self.total) / self.count
        return (torch.as_tensor(self.squares) / self.count - mean.square()).clamp(min=0).sqrt()

    @property
    def rms(self) -> float:
        """The root mean square over all."""
        return float((torch.as_tensor(self.squares) / self.count).mean().sqrt())
