import json

import numpy as np
import pytest
from scipy import stats
from tide_reference import KEPT, SLICES, evidence

from ablab.errors import DataError
from ablab.stats import image_weights, population
from ablab.tasks.detection.boxes import Annotation, Detections, Truth
from ablab.tasks.detection.diagnosis.costs import read_errors
from ablab.tasks.detection.diagnosis.errors import KINDS, find_errors
from ablab.tasks.detection.diagnosis.fixes import SPECIAL
from ablab.tasks.detection.diagnosis.resampling import Resampling
from ablab.tasks.detection.diagnosis.slices import divisions, image_sizes
from ablab.tasks.detection.metrics.meter import DetectionMeter

CASE = json.loads(KEPT.read_text())[5]
WIDE, TALL, BIG, LONE = (10, 10, 40, 20), (30, 10, 40, 50), (5, 5, 60, 60), (150, 150, 250, 250.0)


def made(boxes=(WIDE, TALL, BIG, LONE), found=(), labels=(0, 1, 0, 1)):
    boxes = np.array(boxes, float)
    area, none = (boxes[:, 2:] - boxes[:, :2]).prod(1), np.zeros(len(boxes), bool)
    meter, rows = DetectionMeter(("ring", "nut")), np.array(found, float).reshape(-1, 6)
    real = Truth("a", boxes, np.array(labels), area, none, none)
    meter.update([Detections(rows[:, 2:], rows[:, 1], rows[:, 0].astype(int))], [real])
    return meter.items()


def parts_of_truths(items, sizes=None):
    """{division: {box: slice}}"""
    made = divisions(items, find_errors(items), sizes)
    boxes = [tuple(box) for box in items["truth_box"].tolist()]
    return {by: dict(zip(boxes, (d.names[row] for row in d.of_truth), strict=True)) for by, d in made.items()}


def test_objects_by_every_division():
    parts = parts_of_truths(made(), np.array([[250.0, 400.0]]))
    assert parts["class"] == {WIDE: "ring", TALL: "nut", BIG: "ring", LONE: "nut"}
    assert parts["size"] == {WIDE: "small", TALL: "small", BIG: "medium", LONE: "large"}
    assert parts["aspect"] == {WIDE: "wide", TALL: "tall", BIG: "square", LONE: "square"}
    assert parts["crowding"][LONE] == "alone"
    assert parts["crowding"][BIG] == parts["crowding"][WIDE] == "several neighbours"
    assert parts["position"] == {WIDE: "between", TALL: "between", BIG: "between", LONE: "at the border"}
    assert parts_of_truths(made(), np.array([[400.0, 400.0]]))["position"][LONE] == "centre"
    assert "position" not in parts_of_truths(made())


def test_an_error_is_where_its_object_is_or_else_where_its_detection_is():
    """A ring said to be a nut counts under ring; a nut where nothing is, under nut and its own size."""
    items = made([WIDE], [(1, 0.9, *WIDE), (1, 0.8, 100, 100, 300, 200)], labels=[0])
    reading = read_errors(items, 0.5)
    assert reading.of("classification", "class", "ring").count == 1
    assert reading.of("classification", "class", "nut").count == 0
    assert reading.of("background", "class", "nut").count == 1
    assert reading.of("background", "size", "large").count == 1
    assert reading.of("background", "aspect", "wide").count == 1
    assert reading.of("classification", "crowding", "alone").count == 1
    assert reading.of("background", "crowding", "alone").count == 1


def test_counts_are_at_the_threshold_and_costs_over_all_scores():
    items = made([WIDE], [(0, 0.3, *WIDE), (0, 0.9, 100, 100, 300, 200)], labels=[0])
    reading = read_errors(items, 0.5)
    missed, background = reading.of("missed"), reading.of("background")
    assert (missed.count, missed.at_any_score, missed.ap50) == (1, 0, 0.0)
    assert (background.count, background.at_any_score) == (1, 1)
    assert reading.ap50 == pytest.approx(0.5)
    assert background.ap50 == pytest.approx(0.5)


def test_slices_share_out_all_errors_and_objects():
    items = evidence(CASE["problem"])
    reading = read_errors(items, 0.4, np.full((len(items["images"]), 2), 300.0))
    assert (reading.objects, reading.images) == (len(items["truth_label"]), len(items["images"]))
    assert reading.images_without_objects == sum(not image["truths"] for image in CASE["problem"]["images"]) > 0
    for kind in KINDS:
        for by in ("class", "size", "aspect", "crowding", "position"):
            parts = [cost for cost in reading.costs if (cost.kind, cost.by) == (kind, by)]
            whole = reading.of(kind)
            assert [sum(getattr(part, name) for part in parts) for name in ("objects", "count", "at_any_score")] == [
                whole.objects,
                whole.count,
                whole.at_any_score,
            ]
    assert reading.of(SPECIAL[0]).at_any_score == sum(reading.of(kind).at_any_score for kind in KINDS[:5])
    unfound = reading.objects - (items["detection_truth"] >= 0).sum()
    assert reading.of(SPECIAL[1]).at_any_score == unfound


def test_slices_by_size_cost_what_tidecv_says(monkeypatch):
    monkeypatch.setattr("ablab.tasks.detection.metrics.average.RECALLS", np.arange(101) / 100)
    reading = read_errors(evidence(CASE["problem"]), 0.5)
    for size in SLICES:
        for kind in KINDS:
            said = CASE["says"]["sizes"][size][kind]
            assert max(reading.of(kind, "size", size).ap50, 0) == pytest.approx(said, abs=1e-9)


def test_intervals_hold_the_figure_and_its_replicates():
    items = evidence(CASE["problem"])
    weights = image_weights(items["images"], 100, np.random.default_rng(0))
    groups = len(items["images"])
    drawn = []

    def interval(value, replicates):
        drawn.append(replicates)
        return population([value], replicates[:, None], groups).images

    reading = read_errors(items, 0.4, over=Resampling(weights, interval))
    for cost in reading.costs:
        for value, (low, high) in ((cost.count, cost.count_interval), (cost.ap50, cost.ap50_interval)):
            assert low <= value <= high
    assert all(one.shape == (100,) for one in drawn)
    # a count is a sum over images, whose standard error is known: sqrt(G) times the standard deviation of an image's
    errors = find_errors(items, 0.4)
    one = np.bincount(errors.image[errors.kind == KINDS.index("missed")], minlength=groups)
    low, high = reading.of("missed").count_interval
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, groups - 1) * np.sqrt(groups) * one.std(), rel=0.2)


def test_what_does_not_fit_is_refused():
    items = made()
    with pytest.raises(DataError, match=r"weights of shape \(B, 1 images\), got \(3, 2\)"):
        read_errors(items, 0.5, over=Resampling(np.ones((3, 2)), lambda value, drawn: (0.0, 1.0)))
    with pytest.raises(DataError, match="sizes of shape"):
        read_errors(items, 0.5, sizes=np.ones((2, 2)))
    with pytest.raises(KeyError):
        read_errors(items, 0.5).of("missed", "class", "bolt")


def test_image_sizes_come_from_annotations(tmp_path):
    none = np.zeros(0, bool)
    one = Annotation("a", tmp_path / "a.png", 640, 480, np.zeros((0, 4)), np.zeros(0, int), none, none)
    assert image_sizes(made(), {"a": one}).tolist() == [[640, 480]]
    with pytest.raises(DataError, match="1 of 1 images that the data set does not have, such as 'a'"):
        image_sizes(made(), {"b": one})
