"""Whether scores are what they say: precision at IoU 0.5 as a function of the score.

    D-ECE = sum over bins of  n_j / n * |mean score_j - precision_j|      (Kueppers et al. 2020, CVPR workshops, eq. 4)

with 25 bins of equal width, as detection papers have them (Kuzucu et al. 2024, arXiv:2405.20459). It is biased upward:
in a bin of n detections even a perfect score misses its precision by about sqrt(2 / pi * score * (1 - score) / n).
`by_chance` is what the scores at hand would show if they were perfect and detections independent (a normal
approximation): an error near it is no evidence of miscalibration. `gap` has no such bias.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ablab.contracts import Items
from ablab.errors import DataError
from ablab.tasks.detection.diagnosis.errors import FIRST
from ablab.tasks.detection.diagnosis.resampling import Range, Resampling, drawn, range_of, ratio

BINS = 25


@dataclass(frozen=True)
class Bin:
    """Detections that score from `low` to `high`: how many, their mean score and their precision (fractions; NaN where
    there is none), and its interval over new images."""

    low: float
    high: float
    count: int
    score: float
    precision: float
    interval: Range | None = None


@dataclass(frozen=True)
class Calibration:
    """The reliability curve of `detections` that score at least `least`, and what it comes to, all fractions.

    `gap` is the mean score less the precision: above 0 the detector is too sure of itself. `ece` is the D-ECE and
    `by_chance` its upward bias, as this module says. NaN where there is no detection.
    """

    least: float
    detections: int
    score: float
    precision: float
    gap: float
    ece: float
    by_chance: float
    bins: tuple[Bin, ...]
    gap_interval: Range | None = None


def calibration(items: Items, least: float, over: Resampling | None = None, bins: int = BINS) -> Calibration:
    """Calibration of the detections that score at least `least`; those on ignored objects and crowds are left out.

    Give the score from which detections are used: below it stand thousands that would decide everything. Raises
    DataError for scores outside 0..1 and for weights that do not fit.
    """
    kept = (items["detection_score"] >= least) & (items["detection_ignored"] & FIRST == 0)
    score, image = items["detection_score"][kept], items["detection_image"][kept]
    right = (items["detection_matched"][kept] & FIRST).astype(np.float64)
    if len(score) and not 0 <= score.min() <= score.max() <= 1:
        raise DataError(f"calibration wants scores from 0 to 1; these are from {score.min():g} to {score.max():g}")
    cell = image.astype(np.int64) * bins + np.minimum((score * bins).astype(np.int64), bins - 1)
    weights = drawn(items, over)

    def total(values: np.ndarray) -> np.ndarray:
        """Sums by bin under weights.  (n,) -> (1 + B, bins)"""
        images = len(items["images"])
        return weights @ np.bincount(cell, values, images * bins).reshape(images, bins)

    count, hits, scores = total(np.ones(len(score))), total(right), total(score)
    chance = np.sqrt(2 / math.pi * total(score * (1 - score)))  # the miss, in detections, to expect in each bin
    precision, mean = ratio(hits, count), ratio(scores, count)

    def share(sums: np.ndarray) -> np.ndarray:
        """Of all detections.  (1 + B, bins) -> (1 + B,)"""
        return ratio(sums.sum(axis=1), count.sum(axis=1))

    gap = share(scores - hits)
    made = tuple(
        Bin(
            j / bins,
            (j + 1) / bins,
            int(count[0, j]),
            float(mean[0, j]),
            float(precision[0, j]),
            range_of(precision[:, j], over),
        )
        for j in range(bins)
    )
    return Calibration(
        least,
        len(score),
        float(share(scores)[0]),
        float(share(hits)[0]),
        float(gap[0]),
        float(share(np.abs(scores - hits))[0]),
        float(share(chance)[0]),
        made,
        range_of(gap, over),
    )
