"""The meter on cases small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ablab.errors import DataError, Diverged, UnknownName
from ablab.records import read_items, write_items
from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.metrics.average import precision_recall
from ablab.tasks.detection.metrics.figures import BLOCK
from ablab.tasks.detection.metrics.meter import DetectionMeter

SQUARE = (0.0, 0.0, 10.0, 10.0)
BESIDE = (20.0, 0.0, 30.0, 10.0)
NOWHERE = (50.0, 50.0, 60.0, 60.0)


def truth(image: str, *objects: tuple, ignore=(), crowd=()) -> Truth:
    """Objects are (label, box); `ignore` and `crowd` list positions."""
    boxes = np.array([box for _, box in objects], float).reshape(-1, 4)
    labels = np.array([label for label, _ in objects], np.int64)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    rows = np.arange(len(labels))
    return Truth(image, boxes, labels, area, np.isin(rows, ignore), np.isin(rows, crowd))


def found(*detections: tuple) -> Detections:
    """Detections are (label, score, box)."""
    return Detections(
        np.array([box for _, _, box in detections], float).reshape(-1, 4),
        np.array([score for _, score, _ in detections], float),
        np.array([label for label, _, _ in detections], np.int64),
    )


def measured(*pairs: tuple[Detections, Truth], classes=("a", "b"), settings=None, weights=None):
    meter = DetectionMeter(classes)
    for prediction, real in pairs:
        meter.update([prediction], [real])
    return meter.score(meter.items(), settings or {}, weights)


def test_average_precision_by_hand():
    """Right, wrong, right of two truths: precision 1 up to recall 0.5 (51 of 101 points), then 2/3."""
    detections = found((0, 0.9, SQUARE), (0, 0.8, NOWHERE), (0, 0.7, BESIDE))
    scores = measured((detections, truth("x", (0, SQUARE), (0, BESIDE))))
    assert scores["AP"][0] == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-12)
    assert scores["AP/a"][0] == scores["AP"][0]
    assert np.isnan(scores["AP/b"][0]), "a class without truth has no figure"
    assert scores["AR1"][0] == 0.5
    assert scores["AR10"][0] == 1


def test_difficult_object_is_neither_right_nor_wrong():
    """The detection on the difficult object would be a false positive before the right one."""
    detections = found((0, 0.9, BESIDE), (0, 0.8, SQUARE))
    ignoring = measured((detections, truth("x", (0, SQUARE), (0, BESIDE), ignore=[1])), settings={"threshold": 0.1})
    without = measured((detections, truth("x", (0, SQUARE))), settings={"threshold": 0.1})
    assert ignoring["AP"][0] == pytest.approx(1, abs=1e-12)
    assert without["AP"][0] == pytest.approx(0.5, abs=1e-12)
    assert ignoring["precision"][0] == ignoring["recall"][0] == 1
    assert without["precision"][0] == 0.5


@pytest.mark.parametrize(("kind", "precision"), [("ignore", 0.5), ("crowd", 1.0)])
def test_difficult_object_takes_one_detection_and_a_crowd_any_number(kind, precision):
    detections = found((0, 0.9, BESIDE), (0, 0.8, BESIDE), (0, 0.7, SQUARE))
    scores = measured((detections, truth("x", (0, SQUARE), (0, BESIDE), **{kind: [1]})), settings={"threshold": 0.1})
    assert scores["precision"][0] == precision  # the second one on a difficult object is wrong
    assert scores["recall"][0] == 1


def test_difficult_object_yields_to_one_that_counts():
    """The detection overlaps both; the difficult one more. It is right, not ignored."""
    counting, difficult = (0.0, 0.0, 10.0, 8.0), SQUARE
    objects = truth("x", (0, difficult), (0, counting), ignore=[0])
    assert measured((found((0, 0.9, SQUARE)), objects))["AP50"][0] == pytest.approx(1, abs=1e-12)


def test_a_missed_difficult_object_is_no_miss():
    only = measured((found(), truth("x", (0, SQUARE), ignore=[0])))
    assert np.isnan(only["AP"][0])
    both = measured((found((0, 0.9, BESIDE)), truth("x", (0, SQUARE), (0, BESIDE), ignore=[0])))
    assert both["AR100"][0] == 1


def test_two_kinds_of_f1():
    """a: precision 1, recall 1/2, F1 2/3. b: precision 1/3, recall 1, F1 1/2. Of the means 2/3 and 3/4: 12/17."""
    detections = found(
        (0, 0.9, SQUARE), (1, 0.9, SQUARE), (1, 0.8, NOWHERE), (1, 0.7, NOWHERE), (0, 0.05, BESIDE), (1, 0.45, NOWHERE)
    )
    scores = measured((detections, truth("x", (0, SQUARE), (0, BESIDE), (1, SQUARE))), settings={"threshold": 0.6})
    assert scores["precision"][0] == pytest.approx(2 / 3)
    assert scores["recall"][0] == pytest.approx(3 / 4)
    assert scores["F1"][0] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert scores["F1_of_means"][0] == pytest.approx(12 / 17)
    assert scores["precision@0.5"][0] == pytest.approx(2 / 3)
    assert scores["precision@0.4"][0] == pytest.approx((1 + 1 / 4) / 2)
    assert scores["F1@0.4"][0] == pytest.approx((2 / 3 + 2 / 5) / 2)


def test_a_class_without_detections_has_precision_nought():
    scores = measured((found((0, 0.9, SQUARE)), truth("x", (0, SQUARE), (1, BESIDE))))
    assert scores["precision@0.5"][0] == scores["recall@0.5"][0] == scores["F1@0.5"][0] == 0.5


def test_without_a_chosen_threshold_there_is_no_figure_at_one():
    scores = measured((found((0, 0.9, SQUARE)), truth("x", (0, SQUARE))))
    assert "F1" not in scores
    assert "F1@0.5" in scores


def choose(*pairs: tuple[Detections, Truth]) -> float:
    meter = DetectionMeter(["a", "b"])
    for prediction, real in pairs:
        meter.update([prediction], [real])
    return meter.choose(meter.items())["threshold"]


def test_threshold_by_hand():
    """One class: F1 is 2/3 at 0.9, 1/2 at 0.8, 4/5 at 0.7, 2/3 at 0.6 (5 kept, 2 right: 4/7)."""
    detections = found((0, 0.9, SQUARE), (0, 0.8, NOWHERE), (0, 0.7, BESIDE), (0, 0.6, NOWHERE), (0, 0.6, NOWHERE))
    assert choose((detections, truth("x", (0, SQUARE), (0, BESIDE)))) == 0.7


def test_threshold_ties_go_to_the_highest():
    """Right at 0.9 (F1 2/3), wrong, wrong, right at 0.6 (2 * 2 / (4 + 2) = 2/3)."""
    detections = found((0, 0.9, SQUARE), (0, 0.8, NOWHERE), (0, 0.7, NOWHERE), (0, 0.6, BESIDE))
    assert choose((detections, truth("x", (0, SQUARE), (0, BESIDE)))) == 0.9


def test_threshold_keeps_or_drops_equal_scores_together():
    """At 0.8 one is right and two are wrong: only the second image's 0.9 is worth keeping."""
    first = found((0, 0.8, SQUARE), (0, 0.8, NOWHERE), (0, 0.8, NOWHERE), (0, 0.8, NOWHERE))
    assert choose((first, truth("x", (0, SQUARE))), (found((0, 0.9, SQUARE)), truth("y", (0, SQUARE)))) == 0.9


@pytest.mark.parametrize("seed", range(4))
def test_threshold_is_the_best_of_all_scores(seed):
    rng = np.random.Generator(np.random.Philox(seed))
    meter = DetectionMeter(["a", "b", "c"])
    for image in range(8):
        objects = [(int(rng.integers(3)), (x, y, x + 9.0, y + 9.0)) for x, y in rng.uniform(0, 40, (5, 2))]
        guesses = [
            (int(label), float(rng.integers(1, 20) / 20), tuple(np.array(box) + rng.normal(0, 1.5)))
            for label, box in objects * 2
        ]
        meter.update([found(*guesses)], [truth(str(image), *objects)])
    items = meter.items()
    chosen = meter.choose(items)["threshold"]
    every = {t: meter.score(items, {"threshold": t})["F1"][0] for t in np.unique(items["detection_score"]).tolist()}
    assert every[chosen] == pytest.approx(max(every.values()), abs=1e-12)
    assert chosen == max(t for t, f1 in every.items() if f1 > max(every.values()) - 1e-12)


def test_threshold_without_detections():
    assert choose((found(), truth("x", (0, SQUARE)))) == 0.5


def test_curves_are_plain_and_agree_with_the_scores():
    detections = found((0, 0.9, SQUARE), (0, 0.8, NOWHERE), (0, 0.7, BESIDE))
    meter = DetectionMeter(["a", "b"])
    meter.update([detections], [truth("x", (0, SQUARE), (0, BESIDE))])
    items = meter.items()
    curves = meter.curves(items, {"threshold": 0.7})
    assert list(curves["pr"]["precision"]) == ["a"], "a class without truth has no curve"
    assert curves["pr"]["mean"] == curves["pr"]["precision"]["a"]
    assert np.mean(curves["pr"]["mean"]) == pytest.approx(meter.score(items, {})["AP50"][0])
    at = curves["f1"]["threshold"].index(0.5)
    assert curves["f1"]["F1"][at] == meter.score(items, {})["F1@0.5"][0] == pytest.approx(4 / 5)
    assert {len(line) for line in curves["f1"].values()} == {101}
    assert curves["chosen"] == 0.7


def test_evidence_survives_the_disk(tmp_path):
    meter = DetectionMeter(["a", "b"])
    meter.update(
        [found((0, 0.9, SQUARE), (1, 0.8, BESIDE)), found()], [truth("x", (0, SQUARE)), truth("ü", (1, BESIDE))]
    )
    items = meter.items()
    assert items["detection_truth"].tolist() == [0, -1]
    write_items(tmp_path / "items.npz", items)
    again = read_items(tmp_path / "items.npz")
    expected, got = meter.score(items, {"threshold": 0.5}), meter.score(again, {"threshold": 0.5})
    assert {n: v.tolist() for n, v in got.items() if not np.isnan(v[0])} == {
        n: v.tolist() for n, v in expected.items() if not np.isnan(v[0])
    }
    assert again["images"].tolist() == ["x", "ü"]


def test_no_image_at_all():
    scores = measured(settings={"threshold": 0.5})
    assert scores
    assert all(values.shape == (1,) and np.isnan(values[0]) for values in scores.values())


def test_a_lower_cap_is_an_earlier_end():
    meter = DetectionMeter(["a"], max_detections=1)
    meter.update([found((0, 0.9, SQUARE), (0, 0.8, BESIDE))], [truth("x", (0, SQUARE), (0, BESIDE))])
    scores = meter.score(meter.items(), {})
    assert scores["AR1"][0] == 0.5
    assert "AR10" not in scores


def test_replicates_agree_with_one_at_a_time():
    detections = found((0, 0.9, SQUARE), (0, 0.8, NOWHERE), (1, 0.7, BESIDE))
    pairs = [(detections, truth(name, (0, SQUARE), (1, BESIDE), (0, BESIDE))) for name in "xyz"]
    pairs[1] = (found((1, 0.95, NOWHERE)), pairs[1][1])
    weights = np.random.Generator(np.random.Philox(1)).standard_exponential((5, 3))
    together = measured(*pairs, weights=weights)
    for row in range(5):
        alone = measured(*pairs, weights=weights[row : row + 1])
        assert all(np.array_equal(together[n][row], v[0], equal_nan=True) for n, v in alone.items())
    scaled = measured(*pairs, weights=weights * 7.3)
    np.testing.assert_allclose(scaled["AP"], together["AP"], atol=1e-12)


@pytest.mark.parametrize("name", ["AP", "AP75", "APm", "AR10", "ARl", "AP/b", "AP50/a", "F1", "recall@0.4"])
def test_a_figure_asked_for_alone_is_the_same(name):
    detections = found((0, 0.9, SQUARE), (0, 0.8, NOWHERE), (1, 0.7, BESIDE), (1, 0.6, (0.0, 0.0, 60.0, 70.0)))
    meter = DetectionMeter(["a", "b"])
    objects = truth("x", (0, SQUARE), (1, BESIDE), (1, (0.0, 0.0, 60.0, 60.0)))
    meter.update([detections], [objects])
    settings, weights = {"threshold": 0.65}, np.array([[1.0], [2.5]])
    alone = meter.score(meter.items(), settings, weights, only=(name,))
    assert list(alone) == [name]
    np.testing.assert_array_equal(alone[name], meter.score(meter.items(), settings, weights)[name])


def test_more_replicates_than_are_held_at_once():
    meter = DetectionMeter(["a", "b"])
    meter.update(
        [found((0, 0.9, SQUARE), (1, 0.8, SQUARE)), found()], [truth("x", (0, SQUARE)), truth("y", (0, SQUARE))]
    )
    weights = np.random.Generator(np.random.Philox(2)).standard_exponential((BLOCK + 3, 2))
    scores = meter.score(meter.items(), {}, weights, only=("AP50",))["AP50"]
    reached = weights[:, 0] / weights.sum(1)  # recall; precision is 1 up to it
    np.testing.assert_allclose(scores, (np.floor(reached * 100) + 1) / 101, atol=1e-12)


def test_a_figure_that_there_is_not():
    meter = DetectionMeter(["a"])
    with pytest.raises(UnknownName, match="unknown metric 'APx'; did you mean 'AP"):
        meter.score(meter.items(), {}, only=("APx",))
    with pytest.raises(UnknownName, match="unknown metric 'F1'"):  # no threshold was chosen
        meter.score(meter.items(), {}, only=("F1",))


def test_the_curves_under_a_weight_fall_with_recall():
    pairs = [(found((0, 0.9, NOWHERE), (0, 0.8, SQUARE)), truth("x", (0, SQUARE)))]
    meter = DetectionMeter(["a"])
    meter.update(*([side] for side in pairs[0]))
    precision, _ = precision_recall(meter.items(), np.array([2.5]), (100,))
    assert (np.diff(precision[0, 0], axis=-1) <= 0).all()


@pytest.mark.parametrize(
    ("prediction", "real", "error", "words"),
    [
        (found((2, 0.5, SQUARE)), truth("x"), DataError, "labels 2 to 2 do not fit the 2 classes"),
        (found((0, np.nan, SQUARE)), truth("x"), Diverged, "'x' is NaN or infinite"),
        (found((0, 0.5, (0, 0, np.inf, 1))), truth("x"), Diverged, "'x' is NaN or infinite"),
        (Detections(np.zeros((1, 5)), np.ones(1), np.zeros(1, int)), truth("x"), DataError, r"shape \(1, 4\)"),
        (Detections(np.zeros((1, 4)), np.ones(2), np.zeros(1, int)), truth("x"), DataError, "2 scores for 1 labels"),
    ],
)
def test_what_does_not_fit_is_refused(prediction, real, error, words):
    with pytest.raises(error, match=words):
        DetectionMeter(["a", "b"]).update([prediction], [real])


def test_an_image_counts_once():
    meter = DetectionMeter(["a"])
    with pytest.raises(DataError, match="'x' came twice"):
        meter.update([found(), found()], [truth("x"), truth("x")])
    with pytest.raises(DataError, match="got 1 for 0 images"):
        meter.update([found()], [])


@pytest.mark.parametrize("weights", [np.ones(1), np.ones((1, 2)), -np.ones((1, 1)), np.full((1, 1), np.nan)])
def test_weights_that_do_not_fit(weights):
    with pytest.raises(DataError, match="weights"):
        measured((found(), truth("x", (0, SQUARE))), weights=weights)


def test_classes_that_do_not_fit():
    with pytest.raises(DataError, match="each named once"):
        DetectionMeter(["a", "a"])
    meter = DetectionMeter(["a"])
    with pytest.raises(DataError, match="the evidence is of the classes"):
        meter.score(DetectionMeter(["b"]).items(), {})
