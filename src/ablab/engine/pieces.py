"""A step in smaller pieces, for a card whose memory does not hold a batch.

    batch 16 x accumulate 1  --out of memory-->  8 x 2  --out of memory-->  4 x 4  --> ...

The training begins again with the smaller recipe instead of going on with it: so its result is that recipe's, to the
bit, and does not depend on the step in which the memory ran out. A step still moves by the same images. Batch norm,
which sees one piece at a time, is another: a note says so. A team's processes begin again together, from outside
(`study.train`): a rank alone cannot know that another's memory ran out.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from itertools import chain

import torch
from torch import nn

from ablab.engine.snapshot import Snapshots
from ablab.errors import StoreError, TooLarge
from ablab.recipe import TrainRecipe

LEAST = 2  # images in a process's piece: batch norm cannot train on one where maps are 1 x 1


class Beginning:
    """A network as it came, to which it can be brought back; the copy lies where the network lay."""

    def __init__(self, model: nn.Module) -> None:
        self._tensors = {name: tensor.detach().clone() for name, tensor in _tensors(model).items()}
        self._trainable = {name: parameter.requires_grad for name, parameter in model.named_parameters()}

    def restore(self, model: nn.Module) -> None:
        """Give `model` the values that it came with, and free what the card held of its training."""
        with torch.no_grad():
            for name, tensor in _tensors(model).items():
                tensor.copy_(self._tensors[name])
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(self._trainable[name])
            parameter.grad = None
        free()


def free() -> None:
    """Give back what nobody holds any more; an error's frames hold tensors in cycles."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    return dict(chain(model.named_parameters(), model.named_buffers()))


def halved(train: TrainRecipe) -> TrainRecipe | None:
    """The same step in pieces of half the size, or less where the batch cannot be halved; None where none is left.

    A piece divides the batch, so that a step has as many images as before.
    """
    sizes = [size for size in range(LEAST * train.devices, train.batch // 2 + 1) if train.batch % size == 0]
    return in_pieces(train, sizes[-1]) if sizes else None


def as_kept(train: TrainRecipe, snapshots: Snapshots | None) -> TrainRecipe:
    """The step in the pieces in which an earlier process trained, where it left a snapshot."""
    with suppress(StoreError):
        size = snapshots.about("batch") if snapshots else None
        if isinstance(size, int) and LEAST <= size < train.batch and train.batch % size == 0:
            return in_pieces(train, size)
    return train


def again(error: TooLarge, smaller: TrainRecipe) -> str:
    """What is said before the training begins again."""
    return f"{error}; beginning again with batches of {smaller.batch}, {smaller.accumulate} a step"


def in_pieces(train: TrainRecipe, size: int) -> TrainRecipe:
    """The same step in pieces of `size`, which divides the batch."""
    several = train.accumulate * (train.batch // size)
    return train.model_copy(update={"batch": size, "accumulate": several})


def division(asked: TrainRecipe, train: TrainRecipe, model: nn.Module) -> str:
    """A sentence for the record; "" where the step was not divided."""
    if train.batch == asked.batch:
        return ""
    text = (
        f"the card's memory does not hold batches of {asked.batch}: trained in batches of {train.batch} with "
        f"train.accumulate {train.accumulate}, so a step still has {asked.batch * asked.accumulate} images"
    )
    norms = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
    return text + (f"; batch norm saw {train.batch} at a time, which another arm's may not have" if norms else "")
