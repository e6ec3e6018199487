"""Precision, recall and F1 of what scores at least a threshold, at IoU 0.5; and the thresholds to choose.

All three are means over the classes that have a truth with weight. A class without detections at that threshold has
precision 0. F1 is 2 TP / (2 TP + FP + FN); `F1_of_means` is the F1 of mean precision and mean recall. They differ:
quote which one is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ablab.contracts import Items
from ablab.tasks.detection.metrics.average import counted
from ablab.tasks.detection.metrics.settings import FALLBACK_THRESHOLD, FIXED_THRESHOLDS

FIGURES = ("precision", "recall", "F1", "F1_of_means")
FIRST = 1  # the evidence bit of IoU 0.5, all areas


def operating_point(items: Items, threshold: float, weights: np.ndarray) -> dict[str, np.ndarray]:
    """precision, recall, F1 and F1_of_means under weights (B, images): {name: (B,)}."""
    kept = (items["detection_score"] >= threshold) & (items["detection_ignored"] & FIRST == 0)
    right = kept & (items["detection_matched"] & FIRST == 1)
    truths = counted(items)

    def tally(rows: np.ndarray, kind: str) -> np.ndarray:
        image, label = items[f"{kind}_image"][rows], items[f"{kind}_label"][rows]
        return np.stack([np.bincount(label, row[image], len(items["classes"])) for row in weights])  # (B, K)

    return _means(tally(right, "detection"), tally(kept, "detection"), tally(truths, "truth"))


def _means(right: np.ndarray, given: np.ndarray, wanted: np.ndarray) -> dict[str, np.ndarray]:
    """Means over the classes that are wanted, from counts (..., K): {name: (...)}."""
    present = wanted > 0

    def mean(share: np.ndarray) -> np.ndarray:
        return _ratio(np.where(present, share, 0).sum(-1), present.sum(-1), np.nan)

    precision, recall = mean(_ratio(right, given)), mean(_ratio(right, wanted))
    both = np.where(np.isnan(precision), np.nan, _ratio(2 * precision * recall, precision + recall))
    f1 = mean(_ratio(2 * right, given + wanted))  # 2 TP + FP + FN = (TP + FP) + (TP + FN)
    return {"precision": precision, "recall": recall, "F1": f1, "F1_of_means": both}


def _ratio(over: np.ndarray, under: np.ndarray, otherwise: float = 0.0) -> np.ndarray:
    return np.divide(over, under, out=np.full(np.shape(over), otherwise), where=under > 0)


def places(settings: Mapping[str, float]) -> dict[str, tuple[str, float]]:
    """{name: (figure, threshold)}: bare names at the chosen threshold, where one was chosen, `F1@0.5` at the fixed."""
    at = {f"@{threshold:g}": threshold for threshold in FIXED_THRESHOLDS}
    if "threshold" in settings:
        at = {"": settings["threshold"]} | at
    return {f"{figure}{suffix}": (figure, threshold) for suffix, threshold in at.items() for figure in FIGURES}


def operating_points(
    items: Items, named: Mapping[str, tuple[str, float]], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """The figures that are named under weights (B, images): {name: (B,)}."""
    at = {threshold: operating_point(items, threshold, weights) for threshold in {t for _, t in named.values()}}
    return {name: at[threshold][figure] for name, (figure, threshold) in named.items()}


def best_threshold(items: Items) -> float:
    """The score at which the mean of per-class F1 is highest; of equals, the highest score."""
    kept = items["detection_ignored"] & FIRST == 0
    wanted = np.bincount(items["truth_label"][counted(items)], minlength=len(items["classes"]))
    score = items["detection_score"][kept]
    if not len(score):
        return FALLBACK_THRESHOLD
    f1, given, _ = _f1_down_the_rows(items, kept, wanted)
    gain = np.where(given > 1, np.diff(f1, prepend=0), f1)
    order = np.argsort(-score, kind="stable")
    total = np.cumsum(gain[order])
    last = np.flatnonzero(np.diff(score[order], append=-np.inf))  # equal scores are kept or dropped together
    return float(score[order][last[np.argmax(total[last].round(12))]])  # rounded: sums of one value may differ in a bit


def class_thresholds(items: Items) -> dict[str, float]:
    """The score at which a class's own F1 is highest, by class; of equals, the highest score.

    A class of which nothing right was found is left out: its F1 is 0 at every score, and none can be chosen by it.
    """
    kept = items["detection_ignored"] & FIRST == 0
    wanted = np.bincount(items["truth_label"][counted(items)], minlength=len(items["classes"]))
    label, score = items["detection_label"][kept], items["detection_score"][kept]
    f1, _, right = _f1_down_the_rows(items, kept, wanted)
    last = np.append((label[1:] != label[:-1]) | (score[1:] != score[:-1]), True)[: len(label)]  # as in best_threshold
    found = {}
    for index, name in enumerate(items["classes"].tolist()):
        rows = np.flatnonzero(last & (label == index))
        if len(rows) and right[rows[-1]]:
            found[name] = float(score[rows[np.argmax(f1[rows].round(12))]])
    return found


def _f1_down_the_rows(items: Items, kept: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """F1 of a row's class if the class's rows up to this one are kept, how many those are, and how many are right.

    Rows are the detections `kept` (N,), which stand by class, then falling score; `wanted` (K,) counts truths.
    """
    label = items["detection_label"][kept]
    first = np.searchsorted(label, label, "left")
    total = np.cumsum(np.append(0, items["detection_matched"][kept] & FIRST))
    given, right = np.arange(len(label)) - first + 1, total[1:] - total[first]
    return 2 * right / (given + wanted[label]), given, right


def threshold_curves(items: Items, thresholds: np.ndarray) -> dict[str, Any]:
    """The figures along thresholds (H,), as plain lists."""
    ones = np.ones((1, len(items["images"])))
    points = [operating_point(items, threshold, ones) for threshold in thresholds.tolist()]
    names = ("F1", "precision", "recall", "F1_of_means")
    return {"threshold": thresholds.tolist()} | {name: [float(p[name][0]) for p in points] for name in names}
