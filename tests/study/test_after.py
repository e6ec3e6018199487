"""A step after training stands in a study: what it makes is what is scored, and its price is its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_study import TINY, tiny

from ablab import registry
from ablab.config import override
from ablab.engine.events import Silent
from ablab.errors import ConfigError
from ablab.records import RunRecord, read_json, read_records
from ablab.reports.figures import costs
from ablab.reports.reading import read
from ablab.study import after, single
from ablab.study import run as running
from ablab.study.design import arms, run_fingerprint

SMALL: dict[str, Any] = TINY["baseline"] | {"model": {"width": 0.05, "depth": 0.1}}
INT8 = {"name": "int8", "because": "a fourth of the bytes", "after": ["export/onnx-int8"]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of one step after training, run."""
    folder = tmp_path_factory.mktemp("after") / "tiny"
    running.run(tiny(baseline=SMALL, changes=[INT8], controls=[], seeds=1), folder, jobs=1, display=Silent())
    return folder


def found(folder: Path) -> dict[str, RunRecord]:
    return {record.key.arm: record for record in read_records(folder)}


def test_the_network_is_the_baselines_and_the_score_is_the_steps(finished: Path) -> None:
    records = found(finished)
    assert {record.status for record in records.values()} == {"done"}
    base, int8 = (finished / records[name].key.folder for name in ("baseline", "int8"))
    weights, same = (load_file(place / "weights.safetensors") for place in (base, int8))
    assert all(np.array_equal(tensor, same[name]) for name, tensor in weights.items())
    assert (int8 / "model-int8.onnx").stat().st_size > 0
    assert read_json(int8 / "run.json")["arm"]["after"] == ["export/onnx-int8"]
    before, now = (np.load(place / "items-validation.npz") for place in (base, int8))
    assert any(before[name].shape != now[name].shape or not np.array_equal(before[name], now[name]) for name in before)


def test_it_is_scored_again_the_same_way(finished: Path) -> None:
    record = found(finished)["int8"]
    place = finished / record.key.folder
    again, _ = single.evaluate(place, "validation", None, Silent())
    known = {name: value for name, value in record.scores["validation"].items() if value is not None}
    assert {name: again[name] for name in known} == pytest.approx(known)
    assert len(known) > 10
    assert "AP50" in read_json(place / "test.json")
    (place / "model-int8.onnx").rename(place / "gone.onnx")
    try:
        with pytest.raises(Exception, match=r"model-int8\.onnx"):
            single.evaluate(place, "validation", None, Silent())
    finally:
        (place / "gone.onnx").rename(place / "model-int8.onnx")


def test_the_report_draws_its_score_against_its_own_latency(finished: Path) -> None:
    planned = {row["arm"]: row for row in read_json(finished / "plan.json")["arms"]}
    assert planned["int8"]["differences"] == ["after training: export/onnx-int8"]
    assert planned["int8"]["latency_ms"] != planned["baseline"]["latency_ms"]
    drawn = next(each for each in costs(read(finished)) if "latency" in each.alt)
    assert "int8" in drawn.alt


def test_a_step_alone_is_a_change_and_an_unknown_one_an_error() -> None:
    study = tiny(changes=[{"name": "small", "after": ["export/int8"]}], controls=[])
    assert [arm.after for arm in arms(study)] == [(), ("export/int8",)]
    with pytest.raises(ConfigError, match="did you mean 'export/int8'"):
        tiny(changes=[{"name": "small", "after": ["export/int-8"]}])
    with pytest.raises(ConfigError, match="'set', 'edits' or 'after'"):
        tiny(changes=[{"name": "small"}])
    with pytest.raises(ConfigError, match="one prune and one export at most, got export/int8, export/bf16"):
        tiny(changes=[{"name": "small", "after": ["export/int8", "export/bf16"]}])


def test_two_exports_do_not_combine_and_one_does() -> None:
    two = [{"name": name, "after": [f"export/{name}"]} for name in ("int8", "bf16")]
    with pytest.raises(ConfigError, match="they export the trained network twice, by export/int8 and export/bf16"):
        arms(tiny(changes=two, design="stack", controls=[]))
    rungs = arms(tiny(changes=[*TINY["changes"], two[0]], design="stack", controls=[]))
    assert [(arm.name, arm.after, len(arm.edits)) for arm in rungs] == [
        ("baseline", (), 0),
        ("+cbam", (), 1),
        ("+int8", ("export/int8",), 1),
    ]


def test_a_step_names_another_run() -> None:
    base, small = arms(tiny(changes=[INT8], controls=[]))
    prints = {run_fingerprint(arm, 0, "data", "", "1") for arm in (base, small)}
    assert len(prints) == 2


def test_ranges_come_from_training_images_spread_over_the_split() -> None:
    recipe = tiny().baseline
    task = registry.task("detection")[1](recipe)
    plain = task.data(("tiny", 0)).plain
    images = after.training_images(task, plain, 4)
    assert (images.shape, images.dtype) == ((4, 64, 64, 3), np.uint8)
    for image, index in zip(images, (0, 4, 7, 11), strict=True):
        np.testing.assert_array_equal(image, plain[0, index].image)
    assert len(after.training_images(task, plain, 100)) == len(plain)
    cut = registry.task("detection")[1](override(recipe, {"postprocess.rectangular": True}))
    with pytest.raises(ConfigError, match=r"set postprocess\.rectangular to false"):
        after.training_images(cut, cut.data(("tiny", 0)).plain)


def test_every_step_has_a_runtime_that_can_be_deployed() -> None:
    from ablab.export.deploy import DEPLOYABLE
    from ablab.recipe import EXPORTS
    from ablab.study.steps import RUNTIMES

    assert set(EXPORTS) == set(RUNTIMES)
    assert set(RUNTIMES.values()) == set(DEPLOYABLE)
