"""Labels that a model disagrees with confidently: the ones to look at first.

    missing    a confident detection where no label is                  label it
    class      a label where another class is detected confidently      name it otherwise
    place      a label that its class's detection covers by half        move it
    spurious   a label where nothing is detected                        remove it

Every suspect has a suspicion in 0..1, by which they are ranked. All are made of one figure, the *trust* in a detection:
the chance that a label confirms a detection of its class and score (IoU 0.5), as these labels have it. That puts
classes and networks of any calibration on one scale.

    missing    trust x (1 - IoU with the nearest label)
    class      trust in the other class x (1 - trust in the label's own class there)
    place      trust x z^2 / (1 + z^2), z = (m - IoU) / s: by how many deviations the label is covered less than its
               class's labels usually are (median m, s from the median absolute deviation). One minus Cantelli's
               inequality, which bounds the chance of such an IoU whatever the distribution; small where
               localisation is poor everywhere.
    spurious   share of the class's labels that are found x (1 - best trust in anything there)

The kinds are those of ObjectLab (Tkachenko, Thyagarajan & Mueller 2023, arXiv:2309.00832: overlooked, swapped, badly
located), whose scores want constants for every model; and a label that nothing answers.

A model agrees with labels that it was trained on, the wrong ones too, so the list may be made on validation or test, or
on folds (`data.fold`, each fold judged by the model that did not see it) for all of the data; never on train. And a
disagreement is no proof: labels that are all wrong in the same way cannot be told from a model that is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablab.contracts import Items
from ablab.errors import DataError
from ablab.tasks.detection.diagnosis.errors import overlaps
from ablab.tasks.detection.metrics.average import counted

KINDS = ("missing", "class", "place", "spurious")
FIRST = 1  # the evidence bit of IoU 0.5, all areas
SAME = 0.5  # IoU from which a detection answers to a label, as in AP50
NEAR, WELL = 0.3, 0.7  # IoU: below the first a box is another one; from the second on it is in its place
CONFIDENT = 0.5  # trust: from here on, labels confirm a detection more often than not
ENOUGH = 10  # labels of a class that are covered, to say how well they usually are
SPREAD = 0.01  # IoU: the least deviation, for detections that are all exact
MAD_TO_SIGMA = 1.4826  # of a normal distribution
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Suspect:
    """A label, or a place without one, and what the model says there.

    `label` and `label_box` are None where none is (missing), `seen`, `seen_box` and `score` where nothing is detected
    (spurious). Boxes are x1 y1 x2 y2 in pixels of the image; `overlap` is the IoU of the two, for `missing` with the
    nearest label. `truth` and `detection` are rows of the evidence, or -1.
    """

    kind: str
    suspicion: float
    image: str
    label: str | None
    label_box: Box | None
    seen: str | None
    seen_box: Box | None
    score: float | None
    overlap: float
    truth: int
    detection: int


@dataclass(frozen=True)
class _Near:
    """Each detection's nearest label: its row or -1 (D,), the IoU with it (D,), and the trust in the detection (D,)."""

    home: np.ndarray
    overlap: np.ndarray
    trust: np.ndarray


def suspects(items: Items, split: str) -> tuple[Suspect, ...]:
    """Every suspect of a split's evidence, the most suspicious first, at most one a label.

    Raises DataError for the split 'train': see this module's docstring.
    """
    if split == "train":
        raise DataError(
            "labels of train cannot be judged by a model that was trained on them: it repeats their faults; take the "
            "evidence of validation, or train on folds (`ablab data split --folds`) and judge each by the model that "
            "did not see it"
        )
    near = _near(items)
    found = [*_classes(items, near), *_places(items, near), *_spurious(items, near)]
    best: dict[int, tuple[str, float, int, int]] = {}
    for suspect in found:
        if suspect[2] not in best or best[suspect[2]][1] < suspect[1]:
            best[suspect[2]] = suspect
    moved = {suspect[3] for suspect in best.values()}
    ranked = sorted(
        [*best.values(), *_missing(items, near, moved)],
        key=lambda one: (-one[1], -items["detection_score"][one[3]] if one[3] >= 0 else 0, one[2], one[3]),
    )
    return tuple(_suspect(items, near, *one) for one in ranked)


def trust(items: Items) -> np.ndarray:
    """How likely a label confirms a detection of that class and score at IoU 0.5, by these labels.  -> (D,) in 0..1

    The isotonic regression of "confirmed" on the score, class by class (Zadrozny & Elkan 2002): it never falls as the
    score rises. What is ignored (on difficult objects and crowds) has none: 0.
    """
    result = np.zeros(len(items["detection_score"]))
    kept = items["detection_ignored"] & FIRST == 0
    for label in range(len(items["classes"])):
        rows = np.flatnonzero(kept & (items["detection_label"] == label))
        score, place = np.unique(items["detection_score"][rows], return_inverse=True)  # equal scores, equal trust
        right = np.bincount(place, items["detection_matched"][rows] & FIRST, len(score))
        result[rows] = _rising(right, np.bincount(place, minlength=len(score)))[place]
    return result


def _rising(right: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The rising steps nearest to right / given: neighbours that fall are pooled (Ayer et al. 1955).  -> (N,)"""
    pools: list[tuple[float, int, int]] = []  # right, given, members
    for one in zip(right.tolist(), given.tolist(), (1,) * len(right), strict=True):
        last = one
        while pools and pools[-1][0] * last[1] >= last[0] * pools[-1][1]:
            before = pools.pop()
            last = (before[0] + last[0], before[1] + last[1], before[2] + last[2])
        pools.append(last)
    return np.repeat([r / g for r, g, _ in pools], [members for _, _, members in pools])


def _near(items: Items) -> _Near:
    """Image by image: the label of any class, ignored ones too, with the highest IoU. Crowds are no object's label, and
    what is detected in one has no trust."""
    count = len(items["detection_image"])
    home, overlap = np.full(count, -1), np.zeros(count)
    order = np.argsort(items["detection_image"], kind="stable")
    objects = np.flatnonzero(~items["truth_crowd"])
    images = np.arange(len(items["images"]) + 1)
    starts = np.searchsorted(items["detection_image"][order], images)
    firsts = np.searchsorted(items["truth_image"][objects], images)
    for image in range(len(images) - 1):
        rows, truths = order[starts[image] : starts[image + 1]], objects[firsts[image] : firsts[image + 1]]
        if len(rows) and len(truths):
            table = overlaps(items["detection_box"][rows].astype(np.float64), items["truth_box"][truths])
            best = table.argmax(axis=1)
            overlap[rows] = table[np.arange(len(rows)), best]
            home[rows] = np.where(overlap[rows] > 0, truths[best], -1)
    return _Near(home, overlap, trust(items))


def _best(near: _Near, rows: np.ndarray, by: np.ndarray, truths: int) -> np.ndarray:
    """For each label the row among `rows` at it with the highest `by` (D,), or -1.  -> (G,)"""
    best = np.full(truths, -1)
    ordered = rows[np.argsort(by[rows], kind="stable")]
    best[near.home[ordered]] = ordered  # of several, the last one stays
    return best


def _own(items: Items, near: _Near) -> np.ndarray:
    """Which detections are of their nearest label's class.  -> (D,) bool"""
    same: np.ndarray = items["detection_label"] == np.append(items["truth_label"], -1)[near.home]
    return same


def _trusted(near: _Near, rows: np.ndarray) -> np.ndarray:
    """The trust in some detections; none where a row is -1.  (G,) -> (G,)"""
    return np.append(near.trust, 0.0)[rows]


Found = list[tuple[str, float, int, int]]  # kind, suspicion, rows of truth and detection


def _classes(items: Items, near: _Near) -> Found:
    truths = len(items["truth_label"])
    there = near.overlap >= SAME
    own = _own(items, near)
    other = _best(near, np.flatnonzero(there & ~own & (near.trust >= CONFIDENT)), near.trust, truths)
    mine = _best(near, np.flatnonzero(there & own), near.trust, truths)
    doubt = 1 - _trusted(near, mine)
    rows = np.flatnonzero((other >= 0) & counted(items) & (doubt > 0))
    return [("class", float(near.trust[other[g]] * doubt[g]), int(g), int(other[g])) for g in rows]


def _places(items: Items, near: _Near) -> Found:
    rows = np.flatnonzero(_own(items, near) & (near.overlap >= NEAR) & (near.trust >= CONFIDENT))
    mine = _best(near, rows, near.overlap, len(items["truth_label"]))
    found: Found = []
    for label in range(len(items["classes"])):
        those = np.flatnonzero((mine >= 0) & counted(items) & (items["truth_label"] == label))
        if len(those) < ENOUGH:
            continue
        overlap = near.overlap[mine[those]]
        usual = np.median(overlap)
        spread = max(MAD_TO_SIGMA * np.median(np.abs(overlap - usual)), SPREAD)
        z = ((usual - overlap) / spread).clip(min=0)
        suspicion = near.trust[mine[those]] * z**2 / (1 + z**2)
        hits = np.flatnonzero((overlap < WELL) & (z > 0))
        found += [("place", float(suspicion[i]), int(those[i]), int(mine[those[i]])) for i in hits]
    return found


def _spurious(items: Items, near: _Near) -> Found:
    truths, classes, matters = len(items["truth_label"]), len(items["classes"]), counted(items)
    there = _best(near, np.flatnonzero(near.overlap >= NEAR), near.trust, truths)
    most = _trusted(near, there)
    partner = items["detection_truth"]
    found = np.zeros(truths, bool)
    found[partner[(partner >= 0) & (near.trust >= CONFIDENT)]] = True
    wanted = np.bincount(items["truth_label"][matters], minlength=classes)
    share = np.bincount(items["truth_label"][matters & found], minlength=classes) / np.maximum(wanted, 1)
    suspicion = share[items["truth_label"]] * (1 - most)
    rows = np.flatnonzero(matters & (most < CONFIDENT) & (suspicion > 0))
    return [("spurious", float(suspicion[g]), int(g), -1) for g in rows]


def _missing(items: Items, near: _Near, moved: set[int]) -> Found:
    """Confident detections that answer to no label; of several on one place, the most suspicious."""
    rows = np.flatnonzero((near.overlap < SAME) & (near.trust >= CONFIDENT))
    suspicion = near.trust * (1 - near.overlap)
    kept: dict[int, list[int]] = {}
    for row in rows[np.lexsort((-items["detection_score"][rows], -suspicion[rows]))].tolist():
        same = kept.setdefault(int(items["detection_image"][row]), [])
        boxes = items["detection_box"][[row, *same]].astype(np.float64)
        if row not in moved and not (overlaps(boxes[:1], boxes[1:]) >= SAME).any():
            same.append(row)
    return [("missing", float(suspicion[row]), -1, row) for same in kept.values() for row in same]


def _suspect(items: Items, near: _Near, kind: str, suspicion: float, truth: int, detection: int) -> Suspect:
    label = label_box = seen = seen_box = score = None
    overlap, image = 0.0, -1
    if truth >= 0:
        image = int(items["truth_image"][truth])
        label, label_box = str(items["classes"][items["truth_label"][truth]]), _box(items["truth_box"][truth])
    if detection >= 0:
        image, overlap = int(items["detection_image"][detection]), float(near.overlap[detection])
        seen = str(items["classes"][items["detection_label"][detection]])
        seen_box, score = _box(items["detection_box"][detection]), float(items["detection_score"][detection])
    name = str(items["images"][image])
    return Suspect(kind, suspicion, name, label, label_box, seen, seen_box, score, overlap, truth, detection)


def _box(values: np.ndarray) -> Box:
    x1, y1, x2, y2 = values.tolist()
    return x1, y1, x2, y2
