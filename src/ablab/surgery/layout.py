"""On which axis a map has its channels: on axis 1, or on the last as linear layers and layer norms leave them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ablab.measure.forward import tensors
from ablab.surgery.structure import Shape

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
    "pixel_unshuffle unfold fold"
)
_MOVES = _spellings("permute transpose transpose_ swapaxes swapdims movedim moveaxis")
_RESHAPES = _spellings("reshape view flatten unflatten reshape_as view_as")


def channels_last(value: Any) -> bool:
    """Whether the first tensor of a value, of three axes or more, has its channels on the last one."""
    return bool(getattr(next(tensors(value), None), _MARK, False))


def follow(func: Any, args: Sequence[Any], kwargs: dict[str, Any], output: Any) -> None:
    """Mark what a torch function gave, from what it took.

    A permutation moves the channels with their axis. Else a map keeps its layout where its last axis keeps its size or
    all others do, and where the last axis is split or takes others in, as the heads of attention do.
    """
    if not isinstance(output, Tensor | tuple | list):
        return
    marked = [tensor for tensor in tensors((args, kwargs)) if getattr(tensor, _MARK, False)]
    for tensor in tensors(output):
        if func in _LAST or func in _FIRST:
            last = func in _LAST
        elif func in _MOVES:
            last = _moved_last(func, args, kwargs)
        elif not marked:
            continue
        else:
            last = any(_keeps(func, tuple(given.shape), tuple(tensor.shape)) for given in marked)
        setattr(tensor, _MARK, last and tensor.dim() > 2)


def _keeps(func: Any, before: Shape, after: Shape) -> bool:
    if before[-1:] == after[-1:] or before[:-1] == after[:-1]:
        return True
    less, more = sorted((before[-1], after[-1] if after else 1))
    return func in _RESHAPES and less > 1 and more % less == 0


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
