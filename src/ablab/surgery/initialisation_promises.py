"""What initialisations promise: weight (out, in, ...) -> None, drawn anew in place."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ablab.errors import ContractError
from ablab.measure.seeding import forked
from ablab.surgery.specimen import CHANNELS, Specimen

# A convolution, a depthwise one, a linear layer that is tall and one that is wide.
SHAPES = ((CHANNELS, 32, 3, 3), (CHANNELS, 1, 3, 3), (96, 16), (16, 96))


def drawn(part: Any, weight: Tensor, salt: int = 0) -> Tensor:
    """The weight, redrawn in place under a seed."""
    with forked("initialisation", salt), torch.no_grad():
        part(weight)
    return weight


def evidence(part: Specimen) -> list[Tensor]:
    """What it draws for each shape."""
    return [drawn(part.build(), torch.zeros(shape)) for shape in SHAPES]


def drawn_in_place(part: Specimen) -> None:
    """The same tensor, its shape, type and memory layout kept, every number finite."""
    for shape in SHAPES:
        for dtype in (torch.bfloat16, torch.float32, torch.float64):
            weight = torch.nn.Parameter(torch.full(shape, torch.nan, dtype=dtype))
            place = weight.data_ptr(), tuple(weight.shape), weight.dtype, weight.stride()
            drawn(part.build(), weight)
            if place != (weight.data_ptr(), tuple(weight.shape), weight.dtype, weight.stride()):
                raise ContractError(f"a weight {shape} {dtype} came out {tuple(weight.shape)} {weight.dtype}; fill it")
            if not torch.isfinite(weight).all():
                raise ContractError(f"a weight {shape} {dtype} holds NaN or inf, or keeps old numbers; fill all of it")


def what_was_there_does_not_matter(part: Specimen) -> None:
    """A seed gives one weight, whatever the old one was."""
    for shape in SHAPES:
        first, second = (drawn(part.build(), torch.full(shape, old)) for old in (0.0, 2.0))
        if not torch.equal(first, second):
            raise ContractError(
                f"under one seed two weights {shape} came out unlike; draw from torch's generator alone"
            )


def layout_does_not_matter(part: Specimen) -> None:
    """A seed gives one weight, however it lies in memory."""
    plain = torch.zeros(SHAPES[0])
    last = plain.clone().contiguous(memory_format=torch.channels_last)
    if not torch.equal(drawn(part.build(), plain), drawn(part.build(), last)):
        raise ContractError("in channels_last a seed gives another weight; fill a contiguous tensor, and copy it over")
