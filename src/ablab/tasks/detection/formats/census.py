"""How many boxes of each class a data set has, in how many images, and how large they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ablab.tasks.detection.boxes import Annotation

Split = Sequence[Annotation]


def class_counts(splits: Mapping[str, Split], classes: int) -> dict[str, np.ndarray]:
    """Boxes of every class in every split, crowds left out: {split: (classes,)}."""
    return {
        split: np.bincount(
            np.concatenate([np.zeros(0, np.int64), *(a.labels[~a.crowd] for a in images)]), minlength=classes
        )
        for split, images in splits.items()
    }


def census(splits: Mapping[str, Split], classes: Sequence[str]) -> list[dict[str, Any]]:
    """One row a class: {"class", split: {"images", "boxes", "size"}}; `size` is the median width and height in pixels.

    Crowds are left out. Where a split has no box of the class, `size` is None.
    """
    tables = {split: _columns(images) for split, images in splits.items()}
    return [
        {"class": name} | {split: _cell(*columns, label) for split, columns in tables.items()}
        for label, name in enumerate(classes)
    ]


def _columns(images: Split) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label, image and sides of every box.  -> (N,), (N,), (N, 2)"""
    kept = [~a.crowd for a in images]
    labels = [np.zeros(0, np.int64), *(a.labels[k] for a, k in zip(images, kept, strict=True))]
    sides = [np.zeros((0, 2)), *((a.boxes[:, 2:] - a.boxes[:, :2])[k] for a, k in zip(images, kept, strict=True))]
    image = np.repeat(np.arange(len(images)), [int(k.sum()) for k in kept])
    return np.concatenate(labels), image, np.concatenate(sides)


def _cell(labels: np.ndarray, image: np.ndarray, sides: np.ndarray, label: int) -> dict[str, Any]:
    mine = labels == label
    size = np.median(sides[mine], axis=0).round(2).tolist() if mine.any() else None
    return {"images": len(np.unique(image[mine])), "boxes": int(mine.sum()), "size": size}
