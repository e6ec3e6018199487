"""Faults planted in the labels of a drawn detector are at the top of the list; each rule by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from ablab.errors import DataError
from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.diagnosis.data import DOUBTFUL, read_suspicion
from ablab.tasks.detection.diagnosis.suspicion import Suspect, suspects, trust
from ablab.tasks.detection.metrics.meter import DetectionMeter
from planted import CLASSES, Planted, plant

SEEDS = range(5)
Made = tuple[list[tuple[int, float, float, float]], list[tuple[int, float, float, float]]]


def auc(hits: np.ndarray, others: np.ndarray) -> float:
    """The chance that a planted one is ranked before another: Mann and Whitney's U over its largest value."""
    return float((hits[:, None] > others).mean() + (hits[:, None] == others).mean() / 2)


def of_labels(planted: Planted, ranked: tuple[Suspect, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Suspicion of every label, and which have the fault."""
    items = planted.items
    suspicion = np.zeros(len(items["truth_label"]))
    for suspect in ranked:
        if suspect.truth >= 0:
            suspicion[suspect.truth] = suspect.suspicion
    places = zip(items["truth_image"].tolist(), items["truth_box"].tolist(), strict=True)
    wrong = [(str(items["images"][image]), tuple(box)) in planted.wrong for image, box in places]
    return suspicion, np.array(wrong)


@pytest.mark.parametrize("fault", ["class", "place", "spurious"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_planted_fault_is_at_the_top(fault: str, seed: int) -> None:
    """A tenth of the labels; by chance a tenth of the top would be planted, and the AUC a half."""
    planted = plant(seed, fault)
    ranked = suspects(planted.items, "validation")
    suspicion, wrong = of_labels(planted, ranked)
    assert 25 < wrong.sum() < 70
    assert auc(suspicion[wrong], suspicion[~wrong]) > 0.9
    top = np.argsort(-suspicion, kind="stable")[: wrong.sum()]
    assert wrong[top].mean() > 0.3  # the detector's own misses, one in twenty, stand among them


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_that_were_taken_away_are_at_the_top(seed: int) -> None:
    """Among the detections that no label answers, those of objects come first."""
    planted = plant(seed, "missing")
    items = planted.items
    ranked = {s.detection: s.suspicion for s in suspects(items, "validation") if s.kind == "missing"}
    alone = np.flatnonzero(items["detection_truth"] < 0)
    suspicion = np.array([ranked.get(int(row), 0.0) for row in alone])
    centres = (items["detection_box"][alone, :2] + items["detection_box"][alone, 2:]) / 2
    images = items["images"][items["detection_image"][alone]]
    real = np.array(
        [
            any(
                name == image and (box[:2] < centre).all() and (centre < box[2:]).all() for name, box in planted.removed
            )
            for image, centre in zip(images.tolist(), centres, strict=True)
        ]
    )
    assert real.sum() > 20
    assert auc(suspicion[real], suspicion[~real]) > 0.9


@pytest.mark.parametrize("seed", SEEDS)
def test_the_count_of_doubtful_labels_tells_the_fault(seed: int) -> None:
    """Of clean labels few are doubtful; of planted ones about a tenth, and of the kind that was planted."""
    clean = read_suspicion(plant(seed).items, "validation").doubtful
    for fault in ("missing", "class", "place", "spurious"):
        found = read_suspicion(plant(seed, fault).items, "validation").doubtful
        assert found[fault][1] > clean[fault][1] + 0.03, fault
    assert clean["place"][1] < 0.01
    assert clean["missing"][1] < 0.04
    assert clean["class"][1] < 0.04  # the detector errs on 2% of them


def test_where_localisation_is_poor_a_misplaced_label_is_no_surprise() -> None:
    sharp, blurred = (plant(0, spread=spread).items for spread in (0.03, 0.12))
    poor = [s for s in suspects(blurred, "validation") if s.kind == "place"]
    assert len(poor) > 50  # their overlaps are low, and yet few are suspect
    assert np.mean([s.suspicion >= DOUBTFUL for s in poor]) < 0.3
    assert not [s for s in suspects(sharp, "validation") if s.kind == "place" and s.suspicion >= DOUBTFUL]


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.9]), st.booleans()), min_size=1, max_size=40))
def test_trust_is_scipys_isotonic_regression(rows: list[tuple[float, bool]]) -> None:
    """Equal scores are one point with the weight of all."""
    rows = sorted(rows, key=lambda row: -row[0])
    score, right = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    none = np.zeros(len(rows), np.int64)
    items = {
        "classes": np.array(["cell"]),
        "detection_label": none,
        "detection_score": score,
        "detection_matched": right.astype(np.int64),
        "detection_ignored": none,
    }
    points, place, weight = np.unique(score, return_inverse=True, return_counts=True)
    share = np.array([right[score == point].mean() for point in points])
    np.testing.assert_allclose(trust(items), isotonic_regression(share, weights=weight).x[place])


def scene(extra: Made, images: int = 12, ignore: bool = False, crowd: bool = False) -> tuple[Suspect, ...]:
    """Suspects on the first image, which holds a cell at 0 and whatever `extra` says (label or class, x, side, score of
    detections); on all others a cell and a seed are found exactly, with 0.9, and nothing at 0.1."""
    labels, found = extra
    meter = DetectionMeter(CLASSES)
    for image in range(images):
        truths = [(0, 0.0, 20.0, 0), (1, 40.0, 20.0, 0)] if image else [(0, 0.0, 20.0, 0), *labels]
        seen = (
            [(0, 0.0, 20.0, 0.9), (1, 40.0, 20.0, 0.9), (0, 200.0, 9.0, 0.1)]
            if image
            else [(0, 0.0, 20.0, 0.9), *found]
        )
        seen.sort(key=lambda one: -one[3])
        t, d = np.array(truths, float), np.array(seen, float)
        late = np.arange(len(t)) > 0
        flags = (late & ignore & (image == 0), late & crowd & (image == 0))
        truth = Truth(f"i{image}", boxes(t), t[:, 0].astype(int), t[:, 2] ** 2, *flags)
        meter.update([Detections(boxes(d), d[:, 3], d[:, 0].astype(int))], [truth])
    return tuple(s for s in suspects(meter.items(), "test") if s.image == "i0")


def boxes(rows: np.ndarray) -> np.ndarray:
    x, side = rows[:, 1], rows[:, 2]
    return np.stack([x, np.zeros(len(x)), x + side, side], axis=1)


def test_each_kind_by_hand() -> None:
    assert scene(([], [])) == ()
    (missing,) = scene(([], [(1, 80, 20, 0.9)]))
    assert (missing.kind, missing.label, missing.seen, missing.score) == ("missing", None, "seed", 0.9)
    assert missing.suspicion == pytest.approx(11 / 12)  # trust: eleven of twelve seeds at 0.9 are confirmed
    assert missing.seen_box == (80, 0, 100, 20)
    (other,) = scene(([(0, 40, 20, 0)], [(1, 40, 20, 0.9)]))
    assert (other.kind, other.label, other.seen, other.overlap) == ("class", "cell", "seed", 1)
    assert other.suspicion == pytest.approx(11 / 12)
    (alone,) = scene(([(1, 80, 20, 0)], []))
    assert (alone.kind, alone.label, alone.seen, alone.score, alone.detection) == ("spurious", "seed", None, None, -1)
    assert alone.suspicion == pytest.approx(11 / 12)  # eleven of twelve seeds are found
    (moved,) = scene(([(1, 50, 20, 0)], [(1, 40, 20, 0.9)]), images=40)
    assert (moved.kind, moved.label_box, moved.seen_box) == ("place", (50, 0, 70, 20), (40, 0, 60, 20))
    assert moved.overlap == pytest.approx(1 / 3)
    z = (1 - 1 / 3) / 0.01
    assert moved.suspicion == pytest.approx(39 / 40 * z**2 / (1 + z**2))  # unconfirmed at IoU 0.5


def test_two_detections_of_one_unlabelled_object_are_one_suspect() -> None:
    """The cell there has a label with another class's trust of 1, and is of the same place."""
    found = scene(([], [(1, 80, 20, 0.9), (0, 82, 20, 0.9)]))
    assert [s.kind for s in found] == ["missing"]


def test_objects_that_are_ignored_raise_no_suspicion() -> None:
    """A difficult object that is not found, one that is, and a crowd."""
    assert scene(([(1, 80, 20, 0)], []), ignore=True) == ()
    assert scene(([(1, 80, 20, 0)], [(1, 80, 20, 0.9)]), ignore=True) == ()
    assert scene(([(1, 80, 60, 0)], [(1, 90, 10, 0.9)]), crowd=True) == ()


def test_an_object_in_a_crowd_keeps_its_own_label() -> None:
    assert scene(([(2, 60, 200, 0)], []), crowd=True) == ()
    meter = DetectionMeter(CLASSES)
    for image in range(3):  # a seed inside a crowd of cells
        truth = Truth(
            f"i{image}",
            np.array([[0, 0, 100, 100], [40, 40, 60, 60.0]]),
            np.array([0, 1]),
            np.array([1e4, 400]),
            np.zeros(2, bool),
            np.array([True, False]),
        )
        meter.update([Detections(np.array([[40, 40, 60, 60.0]]), np.array([0.9]), np.array([1]))], [truth])
    assert suspects(meter.items(), "validation") == ()


def test_nothing_detected_or_nothing_labelled() -> None:
    none, no = np.zeros((0, 4)), np.zeros(0, bool)
    empty, found = (
        Detections(none, np.zeros(0), np.zeros(0, int)),
        Detections(np.ones((1, 4)), np.ones(1), np.zeros(1, int)),
    )
    label = Truth(
        "a", np.array([[0, 0, 9, 9.0]]), np.zeros(1, int), np.full(1, 81.0), np.zeros(1, bool), np.zeros(1, bool)
    )
    for prediction, truth in ((empty, label), (found, Truth("a", none, np.zeros(0, int), np.zeros(0), no, no))):
        meter = DetectionMeter(CLASSES)
        meter.update([prediction], [truth])
        assert suspects(meter.items(), "validation") == ()


def test_a_model_may_not_judge_what_it_was_trained_on() -> None:
    with pytest.raises(DataError, match="cannot be judged by a model that was trained on them"):
        suspects(plant(0, images=2).items, "train")


def test_the_list_is_ranked_and_names_a_label_once() -> None:
    ranked = suspects(plant(1, "class").items, "validation")
    assert [s.suspicion for s in ranked] == sorted((s.suspicion for s in ranked), reverse=True)
    named = [s.truth for s in ranked if s.truth >= 0]
    assert len(named) == len(set(named))
    assert all(0 < s.suspicion <= 1 for s in ranked)
