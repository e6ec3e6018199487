"""Parts that train as several branches and ship as one convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import pad


@runtime_checkable
class Reparameterizable(Protocol):
    """A part with a simpler equal form. The name is timm's: `timm.utils.reparameterize_model` calls it."""

    def fuse(self) -> nn.Conv2d:
        """A new convolution that gives what the part gives in evaluation mode."""


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A batch norm in evaluation mode as scale * x + shift, each (C)."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None  # our parts keep running statistics
    assert variance is not None
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    return scale, norm.bias - mean * scale


def in_the_middle(weight: Tensor, kernel: Sequence[int]) -> Tensor:
    """A smaller kernel in the middle of a larger one, zeros around.  (out, in, h, w) -> (out, in, *kernel)"""
    vertical, horizontal = ((k - w) // 2 for k, w in zip(kernel, weight.shape[2:], strict=True))
    return pad(weight, (horizontal, horizontal, vertical, vertical))
