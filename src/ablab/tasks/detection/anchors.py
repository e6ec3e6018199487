"""Anchors: YOLOv5's own, how well they fit a data set, and fitting new ones.

Sizes are (N, 2): widths and heights in pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ablab.errors import DataError

# YOLOv5's anchors for strides 8, 16, 32, fitted to COCO at 640 pixels.
DEFAULT = np.array(
    [
        [[10, 13], [16, 30], [33, 23]],
        [[30, 61], [62, 45], [59, 119]],
        [[116, 90], [156, 198], [373, 326]],
    ],
    dtype=np.float64,
)
LEAST_RECALL = 0.98
LEAST_IOU = 0.6  # on BCCD 0.73 became 0.88 by refitting, and AP did not rise


def iou(sizes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """IoU of boxes and anchors that share a corner.  (N, 2), (..., 2) -> (N, A)"""
    anchors = anchors.reshape(1, -1, 2)
    shared = np.minimum(sizes[:, None], anchors).prod(axis=2)
    return shared / (sizes.prod(axis=1)[:, None] + anchors.prod(axis=2) - shared)


def mean_best_iou(sizes: np.ndarray, anchors: np.ndarray) -> float:
    """The mean over boxes of the IoU with the best anchor, in 0..1."""
    return float(iou(sizes, anchors).max(axis=1).mean())


def best_possible_recall(sizes: np.ndarray, anchors: np.ndarray, ratio: float = 4.0) -> float:
    """The share of boxes for which the ratio assigner finds an anchor: the most that recall can reach."""
    sides = sizes[:, None] / anchors.reshape(1, -1, 2)
    fits = ((sides < ratio) & (sides > 1 / ratio)).all(axis=2).any(axis=1)
    return float(fits.mean())


def fit(sizes: np.ndarray, count: int = 9, *, rng: np.random.Generator, rounds: int = 100) -> np.ndarray:
    """k-means with the distance 1 - IoU, sorted by area.  (N, 2) -> (count, 2)

    Redmon & Farhadi 2017, "YOLO9000", section 2 (dimension clusters); started as in k-means++ (Arthur & Vassilvitskii
    2007). The means do not always lower this distance, so the best round counts. Equal `rng`, equal anchors.
    Raises DataError where there are fewer distinct sizes than `count`.
    """
    distinct = len(np.unique(sizes, axis=0))
    if distinct < count:
        raise DataError(f"cannot fit {count} anchors to {distinct} distinct box sizes; say `anchors: keep`")
    current = best = _start(sizes, count, rng)
    owner = np.full(len(sizes), -1)
    for _ in range(rounds):
        nearest = iou(sizes, current).argmax(axis=1)
        if (nearest == owner).all():
            break
        owner = nearest
        weight = np.bincount(owner, minlength=count)[:, None]
        total = np.stack([np.bincount(owner, sizes[:, side], count) for side in (0, 1)], axis=1)
        current = np.where(weight > 0, total / np.maximum(weight, 1), current)  # a centre that owns nothing stays
        best = max(best, current, key=lambda anchors: mean_best_iou(sizes, anchors))
    return best[np.argsort(best.prod(axis=1), kind="stable")]


def _start(sizes: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """First centres: boxes drawn with a chance that grows with the squared distance to those already drawn."""
    chosen = [int(rng.integers(len(sizes)))]
    while len(chosen) < count:
        distance = (1 - iou(sizes, sizes[chosen]).max(axis=1)).clip(min=0) ** 2
        chosen.append(int(rng.choice(len(sizes), p=distance / distance.sum())))
    return sizes[chosen].astype(np.float64)


def choose(
    mode: Literal["auto", "refit", "keep"] | Sequence[Any], sizes: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, str]:
    """Anchors (3, 3, 2) for a data set, small to large, and a sentence about what was done.

    `auto` refits where YOLOv5's anchors reach less than 98% of the boxes (YOLOv5's own rule) or overlap the average box
    by less than 0.6. Anchors of the user's own (3, 3, 2) stay as they are. Raises DataError where `refit` is asked for
    and there are too few boxes; `auto` keeps the anchors then.
    """
    sizes = np.asarray(sizes, dtype=np.float64).reshape(-1, 2)
    sizes = sizes[(sizes > 0).all(axis=1)]
    if not isinstance(mode, str):
        given = np.asarray(mode, dtype=np.float64)
        return given, f"anchors as given: {_fit_of(sizes, given) if len(sizes) else 'no boxes to reach'}"
    if mode != "refit" and len(sizes) == 0:
        return DEFAULT.copy(), "anchors kept: no boxes to fit"
    if mode == "keep":
        return DEFAULT.copy(), f"anchors kept as asked: {_fit_of(sizes, DEFAULT)}"
    count = DEFAULT.size // 2
    if mode == "auto" and len(np.unique(sizes, axis=0)) < count:
        return DEFAULT.copy(), f"anchors kept, too few distinct sizes to fit: {_fit_of(sizes, DEFAULT)}"
    if mode == "auto" and _suit(sizes, DEFAULT):
        return DEFAULT.copy(), f"anchors kept, they fit: {_fit_of(sizes, DEFAULT)}"
    anchors = fit(sizes, count, rng=rng).reshape(DEFAULT.shape)
    return anchors, f"anchors refitted: {_fit_of(sizes, anchors)}, before {_fit_of(sizes, DEFAULT)}"


def _suit(sizes: np.ndarray, anchors: np.ndarray) -> bool:
    return best_possible_recall(sizes, anchors) >= LEAST_RECALL and mean_best_iou(sizes, anchors) >= LEAST_IOU


def _fit_of(sizes: np.ndarray, anchors: np.ndarray) -> str:
    recall, overlap = best_possible_recall(sizes, anchors), mean_best_iou(sizes, anchors)
    return f"{recall:.1%} of {len(sizes)} boxes within reach, mean best IoU {overlap:.2f}"
