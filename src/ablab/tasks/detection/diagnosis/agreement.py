"""What a detector's surest boxes say about labels: a share of them disagrees on any data, and more where labels err.

Of each class the best-scoring detections are asked, half as many as it has labels. Each has one answer:

    agreed       a label of its class covers it by half
    misnamed     else, a label of another class does
    misplaced    else, a label of its class is near (IoU of 0.2 or more) and as large: each side within a factor of 1.35
    loose        else, a label of its class is near
    unlabelled   else

A detector's own mistakes are rare among its surest boxes, a fault of the labels is not: it does not know of it. And a
detector that places badly gets sizes wrong as well, while a label that was moved keeps its own: so "loose" is held
against no label, and boxes that were drawn too large or too small are not told here. On photo-digits (three classes,
two seeds, 14 runs with AP50 0.49 to 0.80) at most 1.0% are answered "misplaced", and 9.5% and 12% where a tenth of the
labels was moved; "misnamed" is 0.9% at most, and 6.7% and 9.8% where a tenth has another class.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ablab.contracts import Items
from ablab.errors import DataError
from ablab.tasks.detection.diagnosis.errors import FIRST, overlaps
from ablab.tasks.detection.metrics.average import counted

ANSWERS = ("agreed", "misnamed", "misplaced", "loose", "unlabelled")
AGREED, MISNAMED, MISPLACED, LOOSE, UNLABELLED = range(len(ANSWERS))
SUREST = 0.5  # detections asked, a label of their class
SAME, NEAR = 0.5, 0.2  # IoU: as in AP50; and from where on a label is meant at all: half a box's side away is 0.33
AS_LARGE = 1.35  # times: no side of one box is so many times the other's
CONFIDENCE = 1.645  # standard deviations: one side, 95%
LEAST_ASKED = 50  # detections: of fewer, a tenth is five, which chance brings
LEAST_AGREED = 0.5  # of those asked: a detector below it disagrees with good labels, too
LEAST_OVERLAP = 0.7  # median IoU with labels of its class: below it boxes are where no label could be told from


@dataclass(frozen=True)
class Agreement:
    """How the surest detections of a split were answered.

    `asked` detections; `shares` of each of `ANSWERS`, and `at_least`, the lower ends of their one-sided 95% intervals
    (Wilson 1927); `overlap` is the median IoU with labels of their class, where one is near. NaN where none was asked.
    """

    split: str
    asked: int
    shares: dict[str, float]
    at_least: dict[str, float]
    overlap: float

    @property
    def trusted(self) -> bool:
        """Whether the detector is good enough for its disagreement to say something of the labels."""
        return self.asked >= LEAST_ASKED and self.shares["agreed"] >= LEAST_AGREED and self.overlap >= LEAST_OVERLAP


def agreement(items: Items, split: str, unknown: Collection[str] = ()) -> Agreement:
    """Ask the surest detections of a split's evidence.

    Classes that are `unknown` to the detector, having no example in train, are not asked, and detections on their
    labels are left out. Raises DataError for train, whose faults a detector repeats.
    """
    if split == "train":
        raise DataError("labels of train cannot be judged by a model that was trained on them: it repeats their faults")
    rows = _surest(items, np.isin(items["classes"], list(unknown)))
    own, other, times, strange = _answers(items, rows, np.isin(items["classes"], list(unknown)))
    own, other, times = own[~strange], other[~strange], times[~strange]
    tests = [own >= SAME, other >= SAME, (own >= NEAR) & (times < AS_LARGE), own >= NEAR]
    answer = np.select(tests, [AGREED, MISNAMED, MISPLACED, LOOSE], UNLABELLED)
    counts = np.bincount(answer, minlength=len(ANSWERS)).tolist()
    total = len(answer)
    near = own[own >= NEAR]
    return Agreement(
        split,
        total,
        {name: count / total if total else float("nan") for name, count in zip(ANSWERS, counts, strict=True)},
        {name: at_least(count, total) for name, count in zip(ANSWERS, counts, strict=True)},
        float(np.median(near)) if len(near) else float("nan"),
    )


def at_least(hits: int, total: int, z: float = CONFIDENCE) -> float:
    """The lower end of Wilson's interval of a share (Wilson 1927, JASA 22, p. 209); NaN of nothing."""
    if not total:
        return float("nan")
    share, extra = hits / total, z**2 / total
    return max(0.0, (share + extra / 2 - math.sqrt(extra * (share * (1 - share) + extra / 4))) / (1 + extra))


def _surest(items: Items, unknown: np.ndarray) -> np.ndarray:
    """Rows of the best-scoring detections of each known class, those on difficult objects and crowds left out."""
    kept = items["detection_ignored"] & FIRST == 0
    wanted = np.bincount(items["truth_label"][counted(items)], minlength=len(unknown))
    chosen = [np.zeros(0, np.int64)]
    for label in np.flatnonzero(~unknown).tolist():
        mine = np.flatnonzero(kept & (items["detection_label"] == label))
        order = np.argsort(-items["detection_score"][mine], kind="stable")
        chosen.append(mine[order[: int(wanted[label] * SUREST)]])
    return np.concatenate(chosen)


def _answers(
    items: Items, rows: np.ndarray, unknown: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For detections (n,): the highest IoU with a label of their class and of another one (n,), how many times a side
    is that of this label of their class, or it theirs (n,), and whether a label of an unknown class is under them
    (n,) bool."""
    own, other, strange = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows), bool)
    times = np.full(len(rows), np.inf)
    truths = np.flatnonzero(~items["truth_crowd"])
    image = items["detection_image"][rows]
    for one in np.unique(image[np.isin(image, items["truth_image"][truths])]).tolist():
        mine, labels = np.flatnonzero(image == one), truths[items["truth_image"][truths] == one]
        boxes = items["detection_box"][rows[mine]].astype(np.float64)
        iou = overlaps(boxes, items["truth_box"][labels])
        same = items["detection_label"][rows[mine], None] == items["truth_label"][labels]
        own[mine], other[mine] = (iou * same).max(axis=1), (iou * ~same).max(axis=1)
        times[mine] = _times(boxes, items["truth_box"][labels[(iou * same).argmax(axis=1)]])
        strange[mine] = (iou[:, unknown[items["truth_label"][labels]]] >= NEAR).any(axis=1)
    return own, other, times, strange


def _times(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """By how much the sides of boxes (n, 4) and (n, 4) differ at most, as a factor of 1 or more; infinite where one has
    no side.  (n,)"""
    sides, other = boxes[:, 2:] - boxes[:, :2], others[:, 2:] - others[:, :2]
    small, large = np.minimum(sides, other), np.maximum(sides, other)
    times: np.ndarray = np.divide(large, small, out=np.full_like(large, np.inf), where=small > 0).max(axis=1)
    return times
