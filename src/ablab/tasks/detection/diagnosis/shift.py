"""How the scores of right detections moved between two runs: the shift function (Doksum 1974, Annals of Statistics 2).

A change that lowers every score leaves AP alone and spoils a threshold that was chosen before; this tells it apart
from finding fewer objects. Quantiles are the inverse of the weighted distribution function, without interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablab.contracts import Items
from ablab.errors import DataError
from ablab.tasks.detection.diagnosis.errors import FIRST
from ablab.tasks.detection.diagnosis.resampling import Range, Resampling, drawn, range_of

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class Quantile:
    """One quantile of the scores before and after, and `shift`, after less before."""

    level: float
    before: float
    after: float
    shift: float
    interval: Range | None = None


@dataclass(frozen=True)
class ScoreShift:
    """The quantiles of all right detections of each run (`found_before`, `found_after` of them).

    `paired` is the median over the objects found by both, `found_by_both` of them, of what their scores gained; NaN
    where there is none. Intervals are over new images, these two trainings.
    """

    found_before: int
    found_after: int
    found_by_both: int
    quantiles: tuple[Quantile, ...]
    paired: float
    paired_interval: Range | None = None


def score_shift(
    before: Items, after: Items, over: Resampling | None = None, levels: tuple[float, ...] = LEVELS
) -> ScoreShift:
    """The shift between two runs on the same images. A run without a right detection has quantiles of NaN.

    Raises DataError for runs on other images or objects, and for weights that do not fit.
    """
    for name in ("images", "truth_image", "truth_label", "truth_box"):
        if not np.array_equal(before[name], after[name]):
            raise DataError(f"the two runs differ in '{name}': give evidence of the same split of the same data")
    weights = drawn(before, over)
    rows, other = _right(before), _right(after)
    old = quantiles(before["detection_score"][rows], weights[:, before["detection_image"][rows]], levels)
    new = quantiles(after["detection_score"][other], weights[:, after["detection_image"][other]], levels)
    shift = new - old
    made = tuple(
        Quantile(level, float(old[0, k]), float(new[0, k]), float(shift[0, k]), range_of(shift[:, k], over))
        for k, level in enumerate(levels)
    )
    both, first, second = np.intersect1d(
        before["detection_truth"][rows], after["detection_truth"][other], return_indices=True
    )
    gained = after["detection_score"][other[second]] - before["detection_score"][rows[first]]
    paired = quantiles(gained, weights[:, before["truth_image"][both]], (0.5,))[:, 0]
    return ScoreShift(len(rows), len(other), len(both), made, float(paired[0]), range_of(paired, over))


def quantiles(values: np.ndarray, weights: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """The least value with at least a share `level` of the weight at or below it.  (n,), (B, n) -> (B, levels)"""
    if not len(values):
        return np.full((len(weights), len(levels)), np.nan)
    order = np.argsort(values, kind="stable")
    made = []
    for row in weights:
        share = np.cumsum(row[order])
        place = np.searchsorted(share, np.array(levels) * share[-1] * (1 - 1e-12))  # a share that is met, is met
        made.append(values[order[place]])
    return np.stack(made)


def _right(items: Items) -> np.ndarray:
    """Rows of detections that found an object that counts.  (n,)"""
    return np.flatnonzero((items["detection_matched"] & FIRST == 1) & (items["detection_ignored"] & FIRST == 0))
