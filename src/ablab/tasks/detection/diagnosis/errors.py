"""What kind of error each wrong detection and each missed object is: TIDE's six (Bolya et al. 2020, ECCV, section 2.2).

IoU below is with the objects that count (neither ignored nor crowds) of the detection's image; `own` is the highest
with an object of the detection's class, `other` with one of another class. The first line that holds names the error:

    localisation     0.1 <= own <= 0.5
    classification   other >= 0.5
    duplicate        own >= 0.5 with an object that another detection found
    background       every IoU <= 0.1
    both             none of these: wrong class and badly placed
    missed           an object that no detection found, and none would by a better class or place alone

Equal to tidecv 1.0.1 wherever nothing is ignored and an image has at most 100 detections. Here, a detection that the
evaluator ignores (on a difficult object or a crowd) is no error, and the cap is the evaluator's own, per class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ablab.contracts import Items
from ablab.tasks.detection.boxes import area
from ablab.tasks.detection.metrics.average import counted

KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")
CLASSIFICATION, LOCALISATION, BOTH, DUPLICATE, BACKGROUND, MISSED = range(len(KINDS))
FOREGROUND, NEAR = 0.5, 0.1  # IoU: TIDE's t_f and t_b
FIRST = 1  # the evidence bit of IoU 0.5, all areas


@dataclass(frozen=True)
class Errors:
    """One row an error, detections in the order of the evidence, then missed objects.

    kind (E,) place in `KINDS`; image (E,) row of `images`; detection (E,) row of the evidence, -1 where an object was
    missed; truth (E,) the row of the object that was meant: the best overlap by which the kind was told, -1 for
    background; repaired (E,) bool: the oracle makes it right, where others of the same object are taken away.
    """

    kind: np.ndarray
    image: np.ndarray
    detection: np.ndarray
    truth: np.ndarray
    repaired: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def about_truth(self) -> np.ndarray:
        """Where the error belongs to an object rather than to the detection's box, as in TIDE.  (E,) bool"""
        return np.isin(self.kind, (CLASSIFICATION, LOCALISATION, MISSED))


def find_errors(items: Items, threshold: float = 0.0) -> Errors:
    """The errors among detections of at least `threshold`, from the meter's evidence.

    Better scores choose first, so that the evidence's matches hold at any threshold. Evidence keeps boxes in float32:
    which objects were found is known from the matching, and the IoUs that tell the kinds are exact to about 1e-5.
    """
    kept = (items["detection_score"] >= threshold) & (items["detection_ignored"] & FIRST == 0)
    right = kept & (items["detection_matched"] & FIRST == 1)
    used = np.zeros(len(items["truth_label"]), bool)
    used[items["detection_truth"][right]] = True
    rows = np.flatnonzero(kept & ~right)
    kind, truth = np.full(len(rows), BACKGROUND), np.full(len(rows), -1)
    for mine, truths in _images(items, rows):
        kind[mine], truth[mine] = _tell(items, rows[mine], truths, used)
    repaired = _repaired(kind, truth, items["detection_score"][rows], used)
    wanted = counted(items) & ~used
    wanted[truth[np.isin(kind, (CLASSIFICATION, LOCALISATION))]] = False
    missed = np.flatnonzero(wanted)
    return Errors(
        np.concatenate([kind, np.full(len(missed), MISSED)]),
        np.concatenate([items["detection_image"][rows], items["truth_image"][missed]]).astype(np.int64),
        np.concatenate([rows, np.full(len(missed), -1)]),
        np.concatenate([truth, missed]),
        np.concatenate([repaired, np.zeros(len(missed), bool)]),
    )


def _images(items: Items, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each image with both: places in `rows` (n,) and rows of the truths that count (m,)."""
    image = items["detection_image"][rows]
    order = np.argsort(image, kind="stable")
    truths = np.flatnonzero(counted(items))
    for one in np.unique(items["truth_image"][truths]).tolist():
        first, last = np.searchsorted(image[order], [one, one + 1])
        start, stop = np.searchsorted(items["truth_image"][truths], [one, one + 1])
        if first < last:
            yield order[first:last], truths[start:stop]


def _tell(items: Items, rows: np.ndarray, truths: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kinds and objects meant, for the wrong detections (n,) and the truths (m,) of an image.  -> (n,), (n,)"""
    iou = overlaps(items["detection_box"][rows].astype(np.float64), items["truth_box"][truths])
    same = items["detection_label"][rows, None] == items["truth_label"][truths]
    own, own_truth = _highest(iou * same)
    other, other_truth = _highest(iou * ~same)
    taken, taken_truth = _highest(iou * same * used[truths])
    any_iou, any_truth = _highest(iou)
    # An unfound object of its class cannot be beyond 0.5, or it would be found: float32 only makes it seem so.
    misplaced = (own >= NEAR) & ((own <= FOREGROUND) | ~used[truths[own_truth]])
    tests = [misplaced, other >= FOREGROUND, taken >= FOREGROUND, any_iou <= NEAR]
    kinds = np.select(tests, [LOCALISATION, CLASSIFICATION, DUPLICATE, BACKGROUND], BOTH)
    meant = np.select(tests[:3], [own_truth, other_truth, taken_truth], any_truth)
    return kinds, np.where(kinds == BACKGROUND, -1, truths[meant])


def _highest(iou: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, m) -> the highest of each row and its place, the first of equals.  (n,), (n,)"""
    place = iou.argmax(axis=1)
    return iou[np.arange(len(iou)), place], place


def _repaired(kind: np.ndarray, truth: np.ndarray, score: np.ndarray, used: np.ndarray) -> np.ndarray:
    """The best detection of each unfound object that a better class or place would make right.  (n,) bool"""
    able = np.flatnonzero(np.isin(kind, (CLASSIFICATION, LOCALISATION)))
    able = able[~used[truth[able]]]
    best = able[np.lexsort((-score[able], truth[able]))]
    chosen = np.zeros(len(kind), bool)
    chosen[best[np.diff(truth[best], prepend=-1) != 0]] = True
    return chosen


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU of boxes (n, 4) and (m, 4), x1 y1 x2 y2.  -> (n, m); 0 where either has no area"""
    low, high = np.maximum(boxes[:, None, :2], others[:, :2]), np.minimum(boxes[:, None, 2:], others[:, 2:])
    both = np.clip(high - low, 0, None).prod(axis=-1)
    whole = area(boxes)[:, None] + area(others) - both
    return np.divide(both, whole, out=np.zeros_like(both), where=whole > 0)
