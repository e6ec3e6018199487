"""What a norm takes over from the batch norm in whose place it comes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from ablab.errors import ConfigError

_SOURCES = (nn.BatchNorm2d, nn.SyncBatchNorm, FrozenBatchNorm2d)


def carry_affine(old: nn.Module, new: nn.Module) -> None:
    """Weight and bias of a batch norm. Approximate: the statistics are others.

    Raises ConfigError where `old` is no plain batch norm, or `new` has no weight.
    """
    source: Any = _batch_norm(old, new)
    target: Any = new
    if source.weight is None:
        return  # a weight of 1 and a bias of 0, as the new one's
    if target.weight is None:
        raise ConfigError(f"{type(new).__name__} without weight takes none over; give it affine: true")
    with torch.no_grad():
        target.weight.copy_(source.weight)
        target.bias.copy_(source.bias)


def carry_statistics(old: nn.Module, new: nn.Module) -> None:
    """All of a batch norm, so that in evaluation the function stays. The variance takes up another eps.

    Raises ConfigError where `old` is no plain batch norm, or one of the two has no running statistics.
    """
    carry_affine(old, new)
    source: Any = _batch_norm(old, new)
    target: Any = new
    if source.running_var is None or target.running_var is None:
        raise ConfigError(
            "a batch norm without running statistics has none to carry; give it track_running_stats: true"
        )
    with torch.no_grad():
        target.running_mean.copy_(source.running_mean)
        target.running_var.copy_(source.running_var + (source.eps - target.eps))


def _batch_norm(old: nn.Module, new: nn.Module) -> nn.Module:
    if type(old) not in _SOURCES:  # a subclass may do more, as timm's BatchNormAct2d does
        raise ConfigError(
            f"{type(new).__name__} takes over from a plain batch norm, not from a {type(old).__name__}; replace it "
            "instead"
        )
    return old
