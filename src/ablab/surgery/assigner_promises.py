"""What assigners promise: (objects, grid, predict) -> pairs of a place and an object, on every grid they accept."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from ablab.errors import ConfigError, ContractError
from ablab.registry import SLOTS
from ablab.surgery.loss_promises import boxes
from ablab.surgery.specimen import Specimen, draw

STRIDES, SIZES = (8, 16, 32), ((12, 12), (6, 6), (3, 3))  # 96 x 96 pixels
IMAGES, OBJECTS, CLASSES = 2, 9, 3


def scenes(part: Specimen) -> Iterator[tuple[Any, int]]:
    """`assign(order)` for objects in an order, and the places of an image, with anchors and without.

    A grid that the part refuses with a ConfigError is left out; ContractError where it refuses both.
    """
    refused = []
    for anchors in (None, torch.tensor([[[10.0, 13], [16, 30]], [[30, 61], [62, 45]], [[116, 90], [156, 198]]])):
        room: Any = import_module(SLOTS["assigner"])
        grid = room.Grid(STRIDES, SIZES, torch.device("cpu"), anchors)

        def assign(order: Tensor, grid: Any = grid, room: Any = room) -> Any:
            found, labels = boxes(OBJECTS).float(), torch.arange(OBJECTS) % CLASSES
            objects = room.Objects(found[order], labels[order], (torch.arange(OBJECTS) % IMAGES)[order])
            near = boxes(IMAGES * grid.count, salt=1).float().view(IMAGES, -1, 4)
            scores = draw(IMAGES, grid.count, CLASSES).sigmoid()
            return part.build()(objects, grid, lambda: room.Predictions(near, scores))

        try:
            assign(torch.arange(OBJECTS))
        except ConfigError as error:
            refused.append(str(error))
        else:
            yield assign, grid.count
    if len(refused) > 1:
        raise ContractError(
            f"it accepts a head neither with anchors nor without ({', '.join(refused)}); take one of them"
        )


def no_object_works(part: Specimen) -> None:
    """A batch without objects gives no pair."""
    for assign, _ in scenes(part):
        pairs = assign(torch.zeros(0, dtype=torch.int64))
        if len(pairs.place) or len(pairs.object) or len(pairs.score):
            raise ContractError(f"no object gave {len(pairs.place)} pairs, expected none; give three empty tensors")


def indices_in_range(part: Specimen) -> None:
    """place (K,) in 0 .. N - 1 and object (K,) in 0 .. M - 1, int64; score (K,) in 0..1."""
    for assign, count in scenes(part):
        pairs = assign(torch.arange(OBJECTS))
        for name, index, end in (("place", pairs.place, count), ("object", pairs.object, OBJECTS)):
            if index.dtype != torch.int64 or index.ndim != 1 or len(index) != len(pairs.score):
                raise ContractError(
                    f"{name} is {tuple(index.shape)} {index.dtype}, expected (K,) int64; give one number a pair"
                )
            if len(index) and not 0 <= int(index.min()) <= int(index.max()) < end:
                raise ContractError(
                    f"{name}: {int(index.min())} to {int(index.max())}, expected 0 to {end - 1}; count "
                    f"{'the places of an image' if name == 'place' else 'the objects of the batch'}"
                )
        if not ((pairs.score >= 0) & (pairs.score <= 1)).all():
            raise ContractError("a score is outside 0..1; scale it, or give ones")


def order_does_not_matter(part: Specimen) -> None:
    """The same pairs, whatever the order of the objects."""
    for assign, _ in scenes(part):
        order = torch.arange(OBJECTS).flip(0)
        if _rows(assign(torch.arange(OBJECTS))) != _rows(assign(order), order):
            raise ContractError("reversing the objects gave other pairs; break ties by the objects, not by their index")


def _rows(pairs: Any, order: Tensor | None = None) -> list[tuple[int, int, float]]:
    index = pairs.object if order is None else order[pairs.object]
    return sorted(zip(pairs.place.tolist(), index.tolist(), [round(s, 5) for s in pairs.score.tolist()], strict=True))


def evidence(part: Specimen) -> list[Tensor]:
    """Everything that it assigns."""
    found = [assign(torch.arange(OBJECTS)) for assign, _ in scenes(part)]
    return [each for pairs in found for each in (pairs.place, pairs.object, pairs.score)]
