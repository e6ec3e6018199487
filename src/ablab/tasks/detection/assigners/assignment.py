"""The slot `assigner`: `assign(objects, grid, predict) -> Assignment`, for any head.

It must work without any object, not depend on the order of the objects (as a set of pairs), and give indices that are
in range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from ablab.tasks.detection.grid import Grid


@dataclass(frozen=True)
class Objects:
    """The objects of a batch, one after the other.

    boxes (M, 4) x1 y1 x2 y2 in pixels of the network's input, labels (M,) int64, images (M,) int64: which image of the
    batch.
    """

    boxes: Tensor
    labels: Tensor
    images: Tensor


class Predictions(NamedTuple):
    """What the network says now, without gradient: boxes (B, N, 4) in pixels and scores (B, N, C) in 0..1."""

    boxes: Tensor
    scores: Tensor


@dataclass(frozen=True)
class Assignment:
    """Who answers for what: K pairs of a place and an object of the same image.

    object (K,) int64 counts the batch's objects; place (K,) int64 is in 0 .. grid.count - 1, of the object's image. A
    place may be paired with several objects, and an object with several places. score (K,) in 0..1 says how well the
    two fit: it weighs the pair's losses, and is what an anchor-free head's class should score there.
    """

    place: Tensor
    object: Tensor
    score: Tensor


# Called as assign(objects, grid, predict); `predict()` decodes the raw maps, which only those pay who ask.
Assign = Callable[[Objects, Grid, Callable[[], Predictions]], Assignment]
