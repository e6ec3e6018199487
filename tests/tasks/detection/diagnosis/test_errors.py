import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tide_reference import evidence, problem

from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.diagnosis.errors import KINDS, find_errors, overlaps
from ablab.tasks.detection.metrics.meter import DetectionMeter

RING, NUT = 0, 1


def made(truths, found, ignore=(), crowd=()):
    """Evidence of one image: truths (label, x1, y1, x2, y2), found (label, score, x1, y1, x2, y2)."""
    truths, found = np.array(truths, float).reshape(-1, 5), np.array(found, float).reshape(-1, 6)
    rows = np.arange(len(truths))
    area = np.full(len(truths), 100.0)
    meter = DetectionMeter(("ring", "nut"))
    real = Truth("a", truths[:, 1:], truths[:, 0].astype(int), area, np.isin(rows, ignore), np.isin(rows, crowd))
    meter.update([Detections(found[:, 2:], found[:, 1], found[:, 0].astype(int))], [real])
    return meter.items()


def kinds(items, threshold=0.0):
    return [KINDS[kind] for kind in find_errors(items, threshold).kind]


TRUTH = (RING, 0, 0, 10, 10)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((RING, 0.9, 0, 0, 10, 10), []),
        ((RING, 0.9, 0, 0, 10, 5), []),  # IoU 0.5 is found
        ((RING, 0.9, 0, 0, 10, 4), ["localisation"]),  # 0.4
        ((RING, 0.9, 0, 0, 10, 1), ["localisation"]),  # 0.1, the least
        ((NUT, 0.9, 0, 0, 10, 5), ["classification"]),  # 0.5, the least
        ((NUT, 0.9, 0, 0, 10, 4), ["both", "missed"]),
        ((RING, 0.9, 50, 50, 60, 60), ["background", "missed"]),
        ((NUT, 0.9, 0, 0, 10, 1), ["background", "missed"]),  # 0.1 of another class is still background
    ],
)
def test_one_object_and_one_detection(found, expected):
    assert kinds(made([TRUTH], [found])) == expected


def test_a_second_detection_is_a_duplicate_and_a_far_one_is_misplaced():
    items = made([TRUTH], [(RING, 0.9, 0, 0, 10, 10), (RING, 0.8, 0, 0, 10, 9), (RING, 0.7, 0, 0, 10, 4)])
    errors = find_errors(items)
    assert [KINDS[kind] for kind in errors.kind] == ["duplicate", "localisation"]
    assert errors.truth.tolist() == [0, 0]
    assert not errors.repaired.any()  # the object is found already
    assert kinds(items, threshold=0.75) == ["duplicate"]


def test_only_the_best_of_an_object_is_repaired():
    items = made([TRUTH], [(NUT, 0.9, 0, 0, 10, 9), (RING, 0.8, 0, 0, 10, 4), (NUT, 0.7, 0, 0, 10, 10)])
    errors = find_errors(items)
    repaired = {
        (KINDS[k], float(items["detection_score"][d])): bool(r)
        for k, d, r in zip(errors.kind, errors.detection, errors.repaired, strict=True)
    }
    assert repaired == {
        ("classification", 0.9): True,
        ("localisation", 0.8): False,
        ("classification", 0.7): False,
    }


def test_below_the_threshold_nothing_is_found():
    items = made([TRUTH, (NUT, 20, 20, 30, 30)], [(RING, 0.9, 0, 0, 10, 10), (NUT, 0.2, 20, 20, 30, 30)])
    assert kinds(items) == []
    assert kinds(items, threshold=0.5) == ["missed"]
    assert kinds(items, threshold=0.95) == ["missed", "missed"]


def test_what_the_evaluator_ignores_is_no_error():
    on_it, off_it = (RING, 0.9, 0, 0, 10, 10), (RING, 0.5, 0, 0, 10, 4)
    assert kinds(made([TRUTH], [on_it], ignore=[0])) == []
    assert kinds(made([TRUTH], [on_it, on_it], crowd=[0])) == []
    assert kinds(made([TRUTH], [off_it], ignore=[0])) == ["background"]  # 0.4 of an object that does not count


def test_float32_does_not_turn_an_unfound_object_into_a_found_one():
    """IoU just below one half in float64, one half or more in the float32 that the evidence keeps."""
    side = 10.0
    found = (RING, 0.9, 0.0, 0.0, side, side / 2 * (1 - 1e-9))
    items = made([TRUTH], [found])
    assert overlaps(items["detection_box"].astype(float), items["truth_box"])[0, 0] >= 0.5
    assert kinds(items) == ["localisation"]


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_every_detection_and_every_object_is_accounted_for_once(seed, threshold):
    items = evidence(problem(np.random.default_rng(seed), images=5))
    errors = find_errors(items, threshold)
    shown = items["detection_score"] >= threshold
    right = shown & (items["detection_truth"] >= 0)
    assert sorted(errors.detection[errors.detection >= 0]) == np.flatnonzero(shown & ~right).tolist()
    found = items["detection_truth"][right]
    lost = errors.truth[errors.repaired | (errors.kind == KINDS.index("missed"))]
    assert sorted([*found, *lost]) == list(range(len(items["truth_label"])))
    has_truth = errors.truth >= 0
    assert (items["truth_image"][errors.truth[has_truth]] == errors.image[has_truth]).all()


@given(st.integers(0, 2**32 - 1))
def test_overlaps_are_torchvision_s(seed):
    torch, ops = pytest.importorskip("torch"), pytest.importorskip("torchvision.ops")
    rng = np.random.default_rng(seed)
    boxes, others = (np.sort(rng.uniform(0, 9, (n, 2, 2)), axis=1).reshape(n, 4) for n in (4, 3))
    expected = ops.box_iou(torch.tensor(boxes), torch.tensor(others)).numpy()
    np.testing.assert_allclose(overlaps(boxes, others), expected, atol=1e-12)
