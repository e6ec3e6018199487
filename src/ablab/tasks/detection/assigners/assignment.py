"""The slot `assigner`: `assigner(objects, grid) -> [Assignment]`, one a level.

It must work without any object, not depend on the order of the objects (as a set), and give indices that are in range.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Objects:
    """The objects of a batch, one after the other.

    boxes (M, 4) x1 y1 x2 y2 in pixels of the network's input, labels (M,) int64, images (M,) int64: which image of the
    batch.
    """

    boxes: Tensor
    labels: Tensor
    images: Tensor


@dataclass(frozen=True)
class Grid:
    """Where predictions stand: anchors (levels, A, 2) in pixels, a stride and a map size (H, W) for each level."""

    anchors: Tensor
    strides: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Assignment:
    """What one level has to predict: K pairs of a place and an object.

    image, anchor, row, column (K,) int64 name the place in a raw map (B, A, H, W, 5 + C); boxes (K, 4) in pixels and
    labels (K,) are the object's. A place may be paired with several objects, and an object with several places.
    """

    image: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    boxes: Tensor
    labels: Tensor
