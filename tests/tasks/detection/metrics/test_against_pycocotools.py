"""All twelve figures, and the arrays behind them, against pycocotools, to 1e-9."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from coco_reference import Problem, judge, random_problem
from hypothesis import given, settings
from hypothesis import strategies as st

from ablab.tasks.detection.formats.coco import read_detections, read_truth
from ablab.tasks.detection.metrics.average import precision_recall
from ablab.tasks.detection.metrics.coco_figures import FIGURES, evaluate_files
from ablab.tasks.detection.metrics.meter import DetectionMeter

CLOSE = {"rtol": 0, "atol": 1e-9}


def evidence(problem: Problem, folder: Path):
    truth, detections = problem.write(folder)
    instances = read_truth(truth)
    meter = DetectionMeter(instances.classes)
    meter.update(read_detections(detections, instances), instances.truths)
    return meter, meter.items()


def agree(problem: Problem) -> np.ndarray:
    """Assert that everything is equal; returns the twelve figures."""
    stats, arrays = judge(problem)
    with tempfile.TemporaryDirectory() as name:
        figures = evaluate_files(*problem.write(Path(name)))
        _, items = evidence(problem, Path(name))
    assert tuple(figures)[:12] == FIGURES
    np.testing.assert_allclose([figures[name] for name in FIGURES], stats, **CLOSE)
    precision, recall = precision_recall(items, np.ones(len(items["images"])), (1, 10, 100))
    theirs = arrays["precision"][..., 2].transpose(3, 2, 0, 1)  # T R K A -> A K T R
    np.testing.assert_allclose(np.nan_to_num(precision, nan=-1), theirs, **CLOSE)
    np.testing.assert_allclose(np.nan_to_num(recall, nan=-1), arrays["recall"].transpose(2, 1, 0, 3), **CLOSE)
    per_class = np.array([v for name, v in figures.items() if name.startswith("AP/")])
    np.testing.assert_allclose(per_class, theirs[0].reshape(len(per_class), -1).mean(-1), **CLOSE)
    return stats


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(1, 6),
    classes=st.integers(1, 3),
    truths=st.integers(0, 6),
    detections=st.integers(0, 14),
    step=st.sampled_from([0.0, 0.1, 8.0, 32.0]),
    levels=st.sampled_from([0, 1, 4]),
    crowd=st.sampled_from([0.0, 0.3, 1.0]),
    side=st.sampled_from([4.0, 64.0, 400.0]),
    spare=st.integers(0, 2),
)
def test_any_small_problem(seed, images, classes, truths, detections, step, levels, crowd, side, spare):
    rng = np.random.Generator(np.random.Philox(seed))
    agree(random_problem(rng, images, classes, truths, detections, step, levels, crowd, side, classes + spare))


@pytest.mark.parametrize(
    ("step", "levels", "seed"), [(0.0, 0, 1), (0.1, 0, 2), (8.0, 0, 3), (0.0, 5, 4), (16.0, 3, 5), (32.0, 2, 6)]
)
def test_problems_with_every_size(step, levels, seed):
    rng = np.random.Generator(np.random.Philox(seed))
    stats = agree(random_problem(rng, 40, 4, 8, 20, step, levels, 0.1, 200.0, 5))
    assert (stats > 0).all(), "the problem should say something about every figure"


def test_more_detections_than_the_cap():
    rng = np.random.Generator(np.random.Philox(7))
    problem = random_problem(rng, 3, 1, 40, 400, 4.0, 20, 0.1, 100.0)
    assert max(np.unique([r["image_id"] for r in problem.results], return_counts=True)[1]) > 100
    agree(problem)


def test_boundaries_of_the_area_ranges():
    """A box of exactly 32 x 32 is small and medium, at corners whose sums lose bits."""
    corners = [(0.1, 0.2), (17.3, 5.7), (1e3 / 3, 0.7)]
    sizes = [(32.0, 32.0), (96.0, 96.0), (64.0, 16.0), (0.3, 0.1)]
    boxes = [[x, y, w, h] for x, y in corners for w, h in sizes]
    annotations = [
        {"id": i + 1, "image_id": 1 + i % 3, "category_id": 1, "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
        for i, b in enumerate(boxes)
    ]
    results = [
        {"image_id": 1 + i % 3, "category_id": 1, "bbox": [b[0], b[1], b[2] * share, b[3]], "score": 0.5}
        for share in (0.5, 0.75, 1.0)
        for i, b in enumerate(boxes)
    ]
    results += [r | {"bbox": [r["bbox"][0] + 900, *r["bbox"][1:]], "score": 0.9} for r in results]
    images = [{"id": i} for i in (1, 2, 3)]
    agree(Problem({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "a"}]}, results))


@pytest.mark.parametrize("missing", ["detections", "truth", "both"])
def test_nothing_there(missing):
    problem = random_problem(np.random.Generator(np.random.Philox(8)))
    if missing != "truth":
        problem.results = []
    if missing != "detections":
        problem.instances["annotations"] = []
    stats = agree(problem)
    assert set(stats) == (
        {0, -1} if missing == "detections" and -1 in stats else {0.0 if missing == "detections" else -1}
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    levels=st.sampled_from([0, 3]),
    step=st.sampled_from([0.0, 16.0]),
    times=st.lists(st.lists(st.integers(0, 5), min_size=5, max_size=5), min_size=1, max_size=3),
)
def test_integer_weights_are_repeated_images(seed, levels, step, times):
    rng = np.random.Generator(np.random.Philox(seed))
    problem = random_problem(rng, 5, 2, 5, 10, step, levels, 0.2, 150.0, 3)
    # Ties between images stay. Of those in one image one is kept: copies would interleave them, weights cannot.
    one = {(r["image_id"], r["category_id"], r["score"]): r for r in problem.results}
    problem.results = list(one.values())
    times = np.array([[1] * 5, *times])
    with tempfile.TemporaryDirectory() as name:
        meter, items = evidence(problem, Path(name))
    scores = meter.score(items, {}, times)
    for row, n in enumerate(times):
        if n.sum() == 0:  # pycocotools cannot evaluate no images at all
            assert all(np.isnan(values[row]) for values in scores.values())
            continue
        stats, arrays = judge(problem.repeated(n))
        np.testing.assert_allclose([np.nan_to_num(scores[f][row], nan=-1) for f in FIGURES], stats, **CLOSE)
        theirs = arrays["precision"][:, :, :, 0, 2].mean((0, 1))
        ours = [np.nan_to_num(scores[f"AP/{name}"][row], nan=-1) for name in meter.classes]
        np.testing.assert_allclose(ours, theirs, **CLOSE)
    for name in ("AP", "AP75", f"AP/{meter.classes[0]}"):  # asked for alone
        np.testing.assert_array_equal(meter.score(items, {}, times, only=(name,))[name], scores[name])


def test_order_of_images_and_detections_does_not_matter_without_ties(tmp_path):
    rng = np.random.Generator(np.random.Philox(9))
    problem = random_problem(rng, 12, 3, 6, 15)
    meter, items = evidence(problem, tmp_path)
    truth, detections = problem.write(tmp_path)
    instances = read_truth(truth)
    found = read_detections(detections, instances)
    other = DetectionMeter(instances.classes)
    for i in rng.permutation(12):
        order = rng.permutation(len(found[i]))
        shuffled = type(found[i])(*(column[order] for column in vars(found[i]).values()))
        other.update([shuffled], [instances.truths[i]])
    expected = meter.score(items, meter.choose(items))
    again = other.items()
    got = other.score(again, other.choose(again))
    assert list(got) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, **CLOSE, err_msg=name)
