"""The operating point that somebody asks for: its threshold from validation's evidence, its figures on another split.

    threshold = threshold_for_precision(validation, 0.95)
    point = operate(test, threshold)

Figures are pooled, unlike the evaluator's means over classes: of all boxes shown, so many are right; of all objects, so
many are found, at IoU 0.5. Detections on ignored objects and crowds count nowhere. On the split that it was chosen on,
a threshold looks better than it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ablab.contracts import Items
from ablab.errors import ConfigError, DataError
from ablab.tasks.detection.diagnosis.errors import FIRST
from ablab.tasks.detection.diagnosis.resampling import Range, Resampling, drawn, range_of, ratio
from ablab.tasks.detection.metrics.average import counted

SLACK = 1e-9  # of a detection: 0.95 of 20 is 19, whatever its last bit


@dataclass(frozen=True)
class OperatingPoint:
    """What is shown at a threshold: how many of the boxes are right, of the objects found (fractions; NaN where there
    is none), and wrong boxes an image; with intervals over new images where weights were given."""

    threshold: float
    precision: float
    recall: float
    false_positives_per_image: float
    precision_interval: Range | None = None
    recall_interval: Range | None = None
    false_positives_interval: Range | None = None


class _Steps(NamedTuple):
    """Right and wrong detections down to each score that occurs, falling; equal scores stand together."""

    score: np.ndarray
    right: np.ndarray
    wrong: np.ndarray


def threshold_for_precision(items: Items, precision: float) -> float:
    """The threshold of the highest recall with at least this precision (0 to 1); of equals, the highest.

    Raises ConfigError for a precision that is none, DataError where no threshold reaches it, with the best that is.
    """
    if not 0 < precision <= 1:
        raise ConfigError(f"a precision is above 0 and at most 1; got {precision:g}")
    steps = _steps(items)
    able = (steps.right > 0) & (steps.right - precision * (steps.right + steps.wrong) >= -SLACK)
    if not able.any():
        raise DataError(f"no threshold has a precision of {precision:g}{_best(steps)}; ask for less")
    return float(steps.score[np.argmax(np.where(able, steps.right, -1))])


def threshold_for_false_positives(items: Items, per_image: float) -> float:
    """The lowest threshold with at most so many false positives an image: the lowest score of a detection shown.

    Raises ConfigError for a negative number, DataError where not even the best detection may be shown.
    """
    if not per_image >= 0:
        raise ConfigError(f"false positives an image are 0 or more; got {per_image:g}")
    steps, images = _steps(items), len(items["images"])
    able = np.flatnonzero(steps.wrong <= per_image * images + SLACK)
    if not len(able):
        lowest = f": the best score alone brings {steps.wrong[0]:g} on {images:,} images" if len(steps.score) else ""
        raise DataError(f"no threshold has at most {per_image:g} false positives an image{lowest}; allow more")
    return float(steps.score[able[-1]])


def operate(items: Items, threshold: float, over: Resampling | None = None) -> OperatingPoint:
    """The figures of what scores at least `threshold`. Raises DataError for weights that do not fit."""
    kept = (items["detection_score"] >= threshold) & (items["detection_ignored"] & FIRST == 0)
    right = kept & (items["detection_matched"] & FIRST == 1)
    weights = drawn(items, over)

    def total(rows: np.ndarray) -> np.ndarray:
        """(n,) rows of images -> (1 + B,)"""
        return weights @ np.bincount(rows, minlength=weights.shape[1])

    hits, shown = total(items["detection_image"][right]), total(items["detection_image"][kept])
    wanted = total(items["truth_image"][counted(items)])
    precision, recall, wrong = ratio(hits, shown), ratio(hits, wanted), ratio(shown - hits, weights.sum(axis=1))
    return OperatingPoint(
        threshold,
        float(precision[0]),
        float(recall[0]),
        float(wrong[0]),
        range_of(precision, over),
        range_of(recall, over),
        range_of(wrong, over),
    )


def _steps(items: Items) -> _Steps:
    kept = np.flatnonzero(items["detection_ignored"] & FIRST == 0)
    order = kept[np.argsort(-items["detection_score"][kept], kind="stable")]
    score, right = items["detection_score"][order], items["detection_matched"][order] & FIRST
    last = np.flatnonzero(np.diff(score, append=-np.inf))
    return _Steps(score[last], np.cumsum(right)[last], np.cumsum(1 - right)[last])


def _best(steps: _Steps) -> str:
    """`: the highest is 0.83, at 0.91`"""
    if not len(steps.score):
        return ": there is no detection"
    precision = steps.right / (steps.right + steps.wrong)
    best = int(np.argmax(precision))
    return f": the highest is {precision[best]:.3g}, at {steps.score[best]:.3g}"
