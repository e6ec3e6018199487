import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablab.tasks.detection.boxes import Annotation, Detections, Truth
from ablab.tasks.detection.metrics.meter import DetectionMeter
from ablab.tasks.detection.panels import FOUND, MISSED, WRONG, outcomes, panels

CLASSES = ("ring", "nut")
BOXES = np.array([[5, 5, 25, 25], [40, 5, 60, 25], [5, 40, 25, 60.0]])
LABELS = np.array([0, 1, 0])
AWAY = np.array([70, 70, 78, 78.0])  # where nothing is


def truth(name, difficult=(False, False, False), crowd=(False, False, False)):
    area = np.full(3, 400.0)
    return Truth(name, BOXES, LABELS, area, np.array(difficult), np.array(crowd))


def detections(rows, wrong=()):
    """Each (row of BOXES, score) as found exactly, each score of `wrong` where nothing is."""
    given = [(BOXES[row], score, LABELS[row]) for row, score in rows] + [(AWAY, score, 1) for score in wrong]
    given.sort(key=lambda one: -one[1])
    boxes, scores, labels = ([one[k] for one in given] for k in range(3))
    return Detections(np.array(boxes, float).reshape(-1, 4), np.array(scores, float), np.array(labels, np.int64))


def evidence(images, **flags):
    meter = DetectionMeter(CLASSES)
    for name, made in images.items():
        meter.update([made], [truth(name, **flags)])
    return meter.items()


def test_outcomes_at_two_thresholds():
    items = evidence({"a": detections([(0, 0.9), (1, 0.4)], wrong=[0.6]), "b": detections([])})
    high, low = outcomes(items, 0.5), outcomes(items, 0.4)
    assert list(high) == ["a", "b"]
    order = [BOXES.tolist().index(box) for box in high["a"].boxes.tolist()]  # the meter sorts truths by class
    assert dict(zip(order, high["a"].found.tolist(), strict=True)) == {0: True, 1: False, 2: False}
    assert dict(zip(order, low["a"].found.tolist(), strict=True)) == {0: True, 1: True, 2: False}
    assert (high["a"].balance, low["a"].balance, high["b"].balance) == (0, 1, 0)
    np.testing.assert_array_equal(high["a"].wrong[0], [AWAY])
    np.testing.assert_allclose(high["a"].right[2], [0.9])
    assert not outcomes(items, 0.95)["a"].found.any()


def test_what_is_ignored_is_neither_found_nor_missed_nor_wrong():
    items = evidence({"a": detections([(0, 0.9), (1, 0.8), (2, 0.7)])}, difficult=(True, False, False), crowd=(0, 1, 0))
    outcome = outcomes(items, 0.5)["a"]
    np.testing.assert_array_equal(outcome.boxes, BOXES[2:])
    assert outcome.found.tolist() == [True]
    assert len(outcome.wrong[0]) == 0
    np.testing.assert_array_equal(outcome.right[0], BOXES[2:])


def greedy(boxes, scores, labels, threshold):
    """Found truths and the number of false positives by plain greedy matching at IoU 0.5, torchvision's IoU."""
    torch, ops = pytest.importorskip("torch"), pytest.importorskip("torchvision.ops")
    iou = ops.box_iou(torch.tensor(boxes), torch.tensor(BOXES)).numpy()
    iou[labels[:, None] != LABELS] = 0
    found, wrong = np.zeros(3, bool), 0
    for row in np.argsort(-scores, kind="stable"):
        free = np.where(found, 0, iou[row])
        if scores[row] < threshold:
            continue
        if free.max() >= 0.5:
            found[free.argmax()] = True
        else:
            wrong += 1
    return found, wrong


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.7]))
def test_outcomes_agree_with_plain_greedy_matching(seed, threshold):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 3, rng.integers(1, 12))
    boxes = (BOXES[rows] + rng.normal(0, 3, (len(rows), 4))).astype(np.float32).astype(np.float64)
    scores, labels = -np.sort(-rng.random(len(rows))), rng.integers(0, 2, len(rows))
    outcome = outcomes(evidence({"a": Detections(boxes, scores, labels)}), threshold)["a"]
    found, wrong = greedy(boxes, scores, labels, threshold)
    np.testing.assert_array_equal(outcome.boxes[outcome.found].sum(0), BOXES[found].sum(0))
    assert (outcome.found.sum(), len(outcome.right[0]), len(outcome.wrong[0])) == (found.sum(), found.sum(), wrong)


@pytest.fixture
def annotations(tmp_path):
    made, none = {}, np.zeros(3, bool)
    for n, name in enumerate("abcd"):
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), np.full((80, 100, 3), 60 + n, np.uint8))
        made[name] = Annotation(name, path, 100, 80, BOXES, LABELS, none, none)
    return made


ALL = [(0, 0.9), (1, 0.9), (2, 0.9)]
BEFORE = {"a": detections(ALL[:1], [0.8]), "b": detections(ALL), "c": detections(ALL[:2]), "d": detections(ALL[:1])}
AFTER = {"d": detections(ALL[:2]), "c": detections(ALL[1:]), "b": detections(ALL[:1], [0.7, 0.6]), "a": detections(ALL)}


def test_the_most_gained_and_the_most_lost_are_shown(annotations):
    before, after = (evidence(BEFORE), {"threshold": 0.5}), (evidence(AFTER), {"threshold": 0.5})
    made = panels(annotations, CLASSES, before, after, "frelu")
    assert [panel.title for panel in made] == ["fixed: a", "fixed: d", "broke: b"]  # c finds one more and one less
    assert made[0].caption == (
        "Of 3 objects, baseline found 1, with 1 false positive; frelu found all, with no false positives. "
        "Newly found: 2, newly missed: 0."
    )
    assert "frelu found 1, with 2 false positives. Newly found: 0, newly missed: 2." in made[2].caption
    assert [panel.title for panel in panels(annotations, CLASSES, before, after, most=1)] == ["fixed: a", "broke: b"]


def test_each_run_is_read_at_its_own_threshold(annotations):
    items = evidence(BEFORE)
    assert panels(annotations, CLASSES, (items, {"threshold": 0.5}), (items, {"threshold": 0.5})) == []
    strict = panels(annotations, CLASSES, (items, {"threshold": 0.5}), (items, {"threshold": 0.95}))
    assert [panel.title for panel in strict] == ["broke: b", "broke: c", "broke: d"]  # on a, one right and one wrong go


def test_images_without_evidence_are_passed_over(annotations):
    before, after = (evidence({"a": BEFORE["a"]}), {"threshold": 0.5}), (evidence(AFTER), {"threshold": 0.5})
    assert [panel.title for panel in panels(annotations, CLASSES, before, after)] == ["fixed: a"]


def test_a_picture_shows_truth_baseline_and_arm(annotations):
    before, after = (evidence(BEFORE), {"threshold": 0.5}), (evidence(AFTER), {"threshold": 0.5})
    panel = panels(annotations, CLASSES, before, after)[0]
    picture = cv2.imdecode(np.frombuffer(panel.png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    height, width = picture.shape[:2]
    assert height >= 320
    third = width // 3
    tiles = [picture[30 : height - 30, n * third : (n + 1) * third] for n in range(3)]
    seen = [[bool((tile == colour).all(-1).any()) for colour in (MISSED, WRONG)] for tile in tiles]
    assert seen == [[False, False], [True, True], [False, False]]
    assert all((tile == FOUND).all(-1).any() for tile in tiles[1:])


def test_an_image_without_objects(annotations):
    def empty(rows):
        meter, none = DetectionMeter(CLASSES), np.zeros(0)
        nothing = Truth("a", np.zeros((0, 4)), none.astype(int), none, none.astype(bool), none.astype(bool))
        meter.update([detections([], rows)], [nothing])
        return meter.items(), {"threshold": 0.5}

    (panel,) = panels(annotations, CLASSES, empty([0.9, 0.8]), empty([]), "eca")
    assert panel.title == "fixed: a"
    assert panel.caption == "There is nothing to find; baseline gave 2 false positives, eca no false positives."
