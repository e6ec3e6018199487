"""Kinds, counts and costs of errors against tidecv; then what tidecv does not have: image weights and negatives."""

import json

import numpy as np
import pytest
from tide_reference import KEPT, SLICES, evidence, problem, tide

from ablab.tasks.detection.diagnosis.errors import KINDS, Errors, find_errors
from ablab.tasks.detection.diagnosis.fixes import SPECIAL, Oracle
from ablab.tasks.detection.metrics.meter import DetectionMeter

CASES = json.loads(KEPT.read_text())


def says(case: dict, copies: list[int] | None = None, weights: np.ndarray | None = None) -> dict:
    """What we make of a problem, as `tide` writes it."""
    items = evidence(case, None if copies is None else np.array(copies))
    errors = find_errors(items)
    oracle = Oracle(items, errors, weights)
    costs = {name: float(cost[0]) for name, cost in oracle.costs().items()}
    sizes = {}
    for name, (low, high) in SLICES.items():
        inside = (low < subject_area(items, errors)) & (subject_area(items, errors) <= high)
        sizes[name] = {kind: float(oracle.cost(inside & (errors.kind == k))[0]) for k, kind in enumerate(KINDS)}
    counts = dict(zip(KINDS, np.bincount(errors.kind, minlength=len(KINDS)).tolist(), strict=True))
    return {"AP50": float(oracle.ap50[0]), "costs": costs, "counts": counts, "sizes": sizes}


def subject_area(items: dict, errors: Errors) -> np.ndarray:
    boxes = np.where(
        errors.about_truth[:, None], items["truth_box"][errors.truth], items["detection_box"][errors.detection]
    )
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def same(ours: dict, theirs: dict) -> None:
    assert ours["counts"] == theirs["counts"]
    assert ours["AP50"] == pytest.approx(theirs["AP50"], abs=1e-9)
    for name, cost in theirs["costs"].items():
        clipped = ours["costs"][name] if name in SPECIAL else max(ours["costs"][name], 0)
        assert clipped == pytest.approx(cost, abs=1e-9), name
    for size, costs in theirs["sizes"].items():
        for name, cost in costs.items():
            assert max(ours["sizes"][size][name], 0) == pytest.approx(cost, abs=1e-9), (size, name)


@pytest.fixture
def tide_recalls(monkeypatch):
    """tidecv's recall points are k / 100, COCO's numpy.linspace: ten of them differ in the last bit."""
    monkeypatch.setattr("ablab.tasks.detection.metrics.average.RECALLS", np.arange(101) / 100)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("tide_recalls")
def test_equal_to_what_tidecv_said(case):
    same(says(case["problem"]), case["says"])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("tide_recalls")
def test_a_weight_is_an_image_so_many_times(case):
    weights = np.array([case["copies"]], float)
    ours = says(case["problem"], weights=weights) | {"counts": case["of copies"]["counts"]}
    same(ours, case["of copies"])
    same(says(case["problem"], case["copies"]), case["of copies"])


@pytest.mark.usefixtures("tide_recalls")
def test_equal_to_tidecv_anew():
    pytest.importorskip("tidecv", reason="see tide_reference.py")
    for seed in range(100, 130):
        rng = np.random.default_rng(seed)
        case = problem(rng, images=int(rng.integers(6, 25)), classes=int(rng.integers(1, 5)))
        same(says(case), tide(case))


def test_every_kind_occurs_in_what_is_kept():
    """Otherwise equality would say little."""
    for kind in KINDS:
        assert sum(case["says"]["counts"][kind] for case in CASES) >= 15
        assert max(case["says"]["costs"][kind] for case in CASES) > 0.005


def test_ap50_is_the_meter_s_under_any_weights():
    case = CASES[1]["problem"]
    items = evidence(case)
    weights = np.random.default_rng(0).exponential(size=(7, len(items["images"])))
    meter = DetectionMeter(items["classes"].tolist())
    expected = meter.score(items, {}, weights, only=("AP50",))["AP50"]
    np.testing.assert_allclose(Oracle(items, find_errors(items), weights).ap50, expected, atol=1e-12)


def test_all_errors_put_right_leave_nothing_to_gain():
    """Every object found or taken away, every other detection gone: AP50 is 1."""
    for case in CASES:
        items = evidence(case["problem"])
        errors = find_errors(items)
        oracle = Oracle(items, errors)
        assert oracle.ap50[0] + oracle.cost(np.ones(len(errors), bool))[0] == pytest.approx(1)


def test_detections_on_images_without_objects_cost():
    case = CASES[0]["problem"]
    plain = evidence(case)
    with_more = case | {"images": [*case["images"], {"truths": [], "found": [[0, 0.999, 5.0, 5.0, 30.0, 30.0]]}]}
    items = evidence(with_more)
    before, after = Oracle(plain, find_errors(plain)), Oracle(items, find_errors(items))
    assert after.ap50[0] < before.ap50[0]
    background = KINDS.index("background")
    gain = after.cost(find_errors(items).kind == background) - before.cost(find_errors(plain).kind == background)
    assert gain[0] == pytest.approx(before.ap50[0] - after.ap50[0])


def test_nothing_at_all():
    items = evidence({"classes": 2, "images": [{"truths": [], "found": []}]})
    errors = find_errors(items)
    oracle = Oracle(items, errors)
    assert len(errors) == 0
    assert np.isnan(oracle.ap50[0])
    assert all(cost[0] == 0 for cost in oracle.costs().values())
