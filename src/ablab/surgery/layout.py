"""On which axis a map has its channels: on axis 1, or on the last as linear layers and layer norms leave them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ablab.surgery.structure import tensors

_MARK = "_ablab_channels_last"
_SIZES = (2, 3, 5, 7, 11, 13, 17, 19)  # distinct, so that an axis is known by its size


def _spellings(names: str) -> frozenset[Any]:
    return frozenset(getattr(o, n) for n in names.split() for o in (functional, torch, Tensor) if hasattr(o, n))


# What works on the last axis, what works on axis 1 by definition, and what moves axes.
_LAST = _spellings("linear layer_norm rms_norm embedding multi_head_attention_forward scaled_dot_product_attention")
_FIRST = _spellings(
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d batch_norm instance_norm group_norm "
    "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d interpolate pixel_shuffle "
    "pixel_unshuffle"
)
_MOVES = _spellings("permute transpose transpose_ swapaxes swapdims movedim moveaxis")


def channels_last(value: Any) -> bool:
    """Whether the first tensor of a value, of three axes or more, has its channels on the last one."""
    return bool(getattr(next(tensors(value), None), _MARK, False))


def follow(func: Any, args: Sequence[Any], kwargs: dict[str, Any], output: Any) -> None:
    """Mark what a torch function gave, from what it took.

    A map keeps its layout as long as the size of the last axis stays; a permutation moves the channels with their axis.
    """
    if not isinstance(output, Tensor | tuple | list):
        return
    if func in _LAST:
        last = True
    elif func in _FIRST:
        last = False
    elif func in _MOVES:
        last = _moved_last(func, args, kwargs)
    else:
        sizes = {tensor.shape[-1] for tensor in tensors((args, kwargs)) if getattr(tensor, _MARK, False)}
        if not sizes:
            return
        for tensor in tensors(output):
            setattr(tensor, _MARK, tensor.dim() > 2 and tensor.shape[-1] in sizes)
        return
    for tensor in tensors(output):
        setattr(tensor, _MARK, last and tensor.dim() > 2)


def _moved_last(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether the channels' axis comes out last, found by moving the axes of an empty tensor."""
    given = next(tensors((args, kwargs)))
    if given.dim() < 3 or given.dim() > len(_SIZES):
        return False
    channels = _SIZES[given.dim() - 1 if getattr(given, _MARK, False) else 1]
    empty = torch.empty(_SIZES[: given.dim()], device="meta")
    args = [empty if arg is given else arg for arg in args]
    moved = func(*args, **{name: empty if value is given else value for name, value in kwargs.items()})
    return bool(moved.shape[-1] == channels)
