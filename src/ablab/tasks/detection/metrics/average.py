"""Average precision and recall from evidence, under any image weights (COCO's definition; cocodataset.org).

A replicate is one more sweep over rows that were sorted once: 1,000 of AP over 500,000 detections take seconds.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from ablab.contracts import Items
from ablab.tasks.detection.metrics.kernels import compiled, sweep
from ablab.tasks.detection.metrics.settings import AREAS, IOU_THRESHOLDS, RECALLS

EVERY_AREA = range(len(AREAS))
EVERY_STEP = range(len(IOU_THRESHOLDS))


class Groups(NamedTuple):
    """Evidence laid out for the sweep: group `a * K + class`, a counting the areas that are asked for, holds rows with
    ten bits each, best score first."""

    starts: np.ndarray
    images: np.ndarray
    ranks: np.ndarray
    matched: np.ndarray
    ignored: np.ndarray
    truth_groups: np.ndarray
    truth_images: np.ndarray

    @staticmethod
    def of(items: Items, areas: Sequence[int] = EVERY_AREA) -> Groups:
        """Split the evidence by area range; what an area ignores at every threshold is left out of it."""
        count, steps = len(items["classes"]), len(IOU_THRESHOLDS)
        every = (1 << steps) - 1
        label, limits = items["detection_label"], list(AREAS.values())
        starts, rows, matched, ignored, truth_rows, truth_groups = [np.zeros(1, np.int64)], [], [], [], [], []
        for place, area in enumerate(areas):
            low, high = limits[area]
            hits = items["detection_matched"] >> (area * steps) & every
            skips = items["detection_ignored"] >> (area * steps) & every
            kept = np.flatnonzero(skips != every)
            starts.append(starts[-1][-1] + np.searchsorted(label[kept], np.arange(count), "right"))
            rows.append(kept)
            matched.append(hits[kept])
            ignored.append(skips[kept])
            size = items["truth_area"]
            found = np.flatnonzero(counted(items) & (size >= low) & (size <= high))
            truth_rows.append(found)
            truth_groups.append(place * count + items["truth_label"][found])
        chosen, truths = np.concatenate(rows), np.concatenate(truth_rows)
        return Groups(
            np.concatenate(starts),
            items["detection_image"][chosen],
            items["detection_rank"][chosen],
            np.concatenate(matched).astype(np.int16),
            np.concatenate(ignored).astype(np.int16),
            np.concatenate(truth_groups),
            items["truth_image"][truths],
        )


def counted(items: Items) -> np.ndarray:
    """Which truths have to be found: neither ignored nor crowds.  (G,) bool"""
    return ~(items["truth_ignore"] | items["truth_crowd"])


def precision_recall(items: Items, weights: np.ndarray, caps: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The curves under weights (images,): precision (areas, K, T, 101) by recall, recall (areas, K, T, caps)."""
    return _curves(Groups.of(items), len(items["classes"]), weights, EVERY_STEP, caps)


def _curves(
    groups: Groups, count: int, weights: np.ndarray, steps: Sequence[int], caps: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    shape = (len(groups.starts) - 1, len(steps))
    precision, recall = np.full((*shape, len(RECALLS)), np.nan), np.full((*shape, len(caps)), np.nan)
    compiled(sweep)(*groups, weights, np.array(steps), np.array(caps), RECALLS, precision, recall)
    split = (-1, count, len(steps))
    return precision.reshape(*split, len(RECALLS)), recall.reshape(*split, len(caps))


def average_precision_recall(
    groups: Groups, count: int, weights: np.ndarray, steps: Sequence[int], caps: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """AP (B, areas, K, T) and recall (B, areas, K, T, caps) under weights (B, images); NaN where there is no truth.

    K is `count`; `steps` (T,) says which IoU thresholds, the areas are those of `groups`.
    """

    def one(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        precision, recall = _curves(groups, count, row, steps, caps)
        return precision.mean(axis=-1), recall

    if len(weights) == 1:
        rows = [one(weights[0])]
    else:  # the sweep lets go of the interpreter
        with ThreadPoolExecutor(_cores()) as pool:
            rows = list(pool.map(one, weights))
    return np.stack([ap for ap, _ in rows]), np.stack([recall for _, recall in rows])


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
