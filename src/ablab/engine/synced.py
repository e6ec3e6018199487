"""Batch norm over the samples of all ranks (SyncBN), whatever module calls it, and no module is changed for it.

torch's SyncBatchNorm takes the norms' places, runs on cards alone, and would lose the activation inside timm's norms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_reduce
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode


class Synced(TorchFunctionMode):
    """Inside, batch norm in training takes its statistics over all ranks, each of which must be inside too.

    `torch.nn.functional.batch_norm` comes here with its first three arguments as they are and the others by name.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if func is batch_norm and given.get("training"):
            return synced_norm(*args, **{name: value for name, value in given.items() if name != "training"})
        return func(*args, **given)


def synced_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_variance: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias, per channel, over all samples and places of all ranks.

    x (N, C, *) -> the same, in its dtype; statistics in float32. Moves the running statistics, the variance unbiased.
    Ioffe & Szegedy 2015, algorithm 1. The gradient goes through the statistics to every rank's samples.
    """
    wide, axes = x.float(), [0, *range(2, x.dim())]
    shape = (1, -1, *[1] * (x.dim() - 2))
    count = torch.tensor(float(x.numel() // x.shape[1]), device=x.device)
    dist.all_reduce(count)
    mean = all_reduce(wide.sum(dim=axes)) / count  # type: ignore[no-untyped-call]
    apart = wide - mean.view(shape)
    variance = all_reduce(apart.square().sum(dim=axes)) / count  # type: ignore[no-untyped-call]
    with torch.no_grad():
        if running_mean is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        if running_variance is not None:
            unbiased = variance * (count / (count - 1).clamp(min=1))
            running_variance.lerp_(unbiased.to(running_variance.dtype), momentum)
    out = apart * (variance + eps).rsqrt().view(shape)
    if weight is not None:
        out = out * weight.float().view(shape)
    if bias is not None:
        out = out + bias.float().view(shape)
    return out.to(x.dtype)
