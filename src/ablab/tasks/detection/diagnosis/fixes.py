"""What each kind of error costs: AP50 with the errors put right, less AP50 as it is (TIDE, Bolya et al. 2020, 2.3).

    classification, localisation   the best detection of each unfound object becomes right, the others are taken away
    both, duplicate, background    the detection is taken away
    missed                         the object is taken away
    false positives                every wrong detection is taken away
    false negatives                every unfound object is taken away

Errors are found once and AP is swept under any image weights. Costs do not add up: each oracle acts alone. A cost may
be negative (a right detection that comes in low moves precision); tidecv shows such a one as 0, and here it stands.
Means are over the classes that have an object with weight, as AP50 is; tidecv counts a class without any as 0.
"""

from __future__ import annotations

import numpy as np

from ablab.contracts import Items
from ablab.tasks.detection.diagnosis.errors import CLASSIFICATION, FIRST, KINDS, LOCALISATION, MISSED, Errors
from ablab.tasks.detection.metrics.average import Groups, average_precision_recall, counted

SPECIAL = ("false positives", "false negatives")
NONE = np.zeros(0, np.int64)


class Oracle:
    """AP50 as it is and as it would be, under image weights (B, images); evidence and errors stay as they are."""

    def __init__(self, items: Items, errors: Errors, weights: np.ndarray | None = None) -> None:
        self.items, self.errors, self.count = items, errors, len(items["classes"])
        self.weights = np.ones((1, len(items["images"]))) if weights is None else np.ascontiguousarray(weights, float)
        self.kept = items["detection_ignored"] & FIRST == 0
        self.wanted = counted(items)
        self._objects = items["truth_label"][self.wanted], items["truth_image"][self.wanted]
        self._as_it_is = self._sweep(self.kept, self.wanted, NONE, np.ones(self.count, bool))

    @property
    def ap50(self) -> np.ndarray:
        """AP50 as the meter has it, a fraction.  (B,)"""
        return self._mean(self._as_it_is)

    def cost(self, chosen: np.ndarray) -> np.ndarray:
        """The gain in AP50 if the errors `chosen` (E,) bool were put right, a fraction.  (B,)"""
        errors, kept, wanted = self.errors, self.kept.copy(), self.wanted.copy()
        kept[errors.detection[chosen & (errors.kind != MISSED)]] = False
        wanted[errors.truth[chosen & (errors.kind == MISSED)]] = False
        able = chosen & errors.repaired & np.isin(errors.kind, (CLASSIFICATION, LOCALISATION))
        return self._gain(kept, wanted, np.flatnonzero(able))

    def special(self, name: str) -> np.ndarray:
        """The gain in AP50 without any false positives, or any false negatives, a fraction.  (B,)"""
        right = self.kept & (self.items["detection_matched"] & FIRST == 1)
        if name == SPECIAL[0]:
            return self._gain(right, self.wanted)
        found = np.zeros_like(self.wanted)
        found[self.items["detection_truth"][right]] = True
        return self._gain(self.kept, self.wanted & found)

    def costs(self) -> dict[str, np.ndarray]:
        """Every kind of error and both special ones: {name: (B,)}."""
        made = {name: self.cost(self.errors.kind == kind) for kind, name in enumerate(KINDS)}
        return made | {name: self.special(name) for name in SPECIAL}

    def _gain(self, kept: np.ndarray, wanted: np.ndarray, repaired: np.ndarray = NONE) -> np.ndarray:
        """AP50 over the detections `kept` (D,), the errors `repaired` and the objects `wanted` (G,), less AP50."""
        items, touched = self.items, np.zeros(self.count, bool)
        touched[items["detection_label"][kept != self.kept]] = True
        touched[items["truth_label"][wanted != self.wanted]] = True
        touched[items["truth_label"][self.errors.truth[repaired]]] = True
        if not touched.any():
            return np.zeros(len(self.weights))
        ap = self._sweep(kept, wanted, repaired, touched)
        return self._mean(np.where(touched, ap, self._as_it_is)) - self.ap50

    def _sweep(self, kept: np.ndarray, wanted: np.ndarray, repaired: np.ndarray, touched: np.ndarray) -> np.ndarray:
        """AP50 of the classes `touched` (K,). A class whose objects were all taken away has 0 while detections of it
        are left, and is NaN otherwise, as in tidecv.  -> (B, K)"""
        items, errors = self.items, self.errors
        rows = np.concatenate([np.flatnonzero(kept), errors.detection[repaired]])
        label = np.concatenate([items["detection_label"][kept], items["truth_label"][errors.truth[repaired]]])
        right = (items["detection_matched"][rows] & FIRST == 1) | (np.arange(len(rows)) >= kept.sum())
        order = np.lexsort((items["detection_image"][rows], -items["detection_score"][rows], label))
        order = order[touched[label[order]]]
        label, image = label[order], items["detection_image"][rows[order]]
        wanted = wanted & touched[items["truth_label"]]
        groups = Groups(
            np.searchsorted(label, np.arange(self.count + 1)).astype(np.int64),
            image,
            np.zeros(len(image), np.int32),
            right[order].astype(np.int16),
            np.zeros(len(image), np.int16),
            items["truth_label"][wanted],
            items["truth_image"][wanted],
        )
        ap = average_precision_recall(groups, self.count, self.weights, (0,), (1,))[0][:, 0, :, 0]
        return np.where(np.isnan(ap) & (self._tally(label, image) > 0), 0.0, ap)

    def _tally(self, label: np.ndarray, image: np.ndarray) -> np.ndarray:
        """The weight of each class in rows of a label and an image each.  (B, K)"""
        images = self.weights.shape[1]
        counts = np.bincount(image.astype(np.int64) * self.count + label, minlength=images * self.count)
        return self.weights @ counts.reshape(images, self.count)

    def _mean(self, ap: np.ndarray) -> np.ndarray:
        """The mean over classes that have an object with weight, as the evidence stands.  (B, K) -> (B,)"""
        present = ~np.isnan(ap) & (self._tally(*self._objects) > 0)
        total = present.sum(axis=1)
        return np.divide(np.where(present, ap, 0).sum(axis=1), total, out=np.full(len(ap), np.nan), where=total > 0)
