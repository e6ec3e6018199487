"""A run as a model: the same as its evaluation, and nothing but safe weights."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import ablab
from ablab.errors import ConfigError, StoreError
from ablab.predict.asked import chosen
from ablab.predict.model import Model
from ablab.predict.network import open_run
from ablab.records import read_items, read_json, write_json
from ablab.study import spec
from ablab.study.restore import restore
from ablab.tasks.detection.boxes import Detections, Truth


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


@pytest.mark.parametrize("rectangular", [False, True])
def test_it_finds_what_its_evaluation_found(run: Path, rectangular: bool) -> None:
    """The evidence that training left of validation, from files instead of a loader."""
    task, _, arm, settings = restore(run)
    annotations = task.data((arm.stream, 0)).validation.annotations
    model = open_run(run, {"postprocess.rectangular": rectangular}, batch=4)
    results = model([annotation.path for annotation in annotations], threshold=0.0)
    meter = task.meter()
    found = [Detections(result.boxes, result.scores, result.labels) for result in results]
    meter.update(found, [Truth.of(annotation) for annotation in annotations])
    again, kept = meter.items(), read_items(run / "items-validation.npz")
    assert len(kept["detection_score"]) > 20
    np.testing.assert_allclose(again["detection_score"], kept["detection_score"], rtol=1e-4)
    np.testing.assert_allclose(again["detection_box"], kept["detection_box"], atol=1e-2)
    for name, value in meter.score(kept, settings).items():
        np.testing.assert_allclose(meter.score(again, settings)[name], value, atol=1e-6, err_msg=name)


def test_a_run_is_loaded_by_its_folder_or_its_weights(run: Path) -> None:
    image = np.full((40, 60, 3), 127, np.uint8)
    results = [ablab.load(place)(image, threshold=0.0) for place in (run, str(run), run / "weights.safetensors")]
    assert len(results[0]) > 0
    for result in results:
        np.testing.assert_array_equal(result.boxes, results[0].boxes)
    assert isinstance(ablab.load(run), Model)


def test_a_studys_file_is_still_a_study(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "{name: s, baseline: {task: detection}, changes: [{name: l, because: b, set: {optimizer.lr: 0.1}}], "
        "judge: {metric: AP, smallest_interesting: 0.01}}"
    )
    assert isinstance(ablab.load(tmp_path / "s.yaml", {"seeds": 3}), spec.Study)


def test_the_thresholds_are_the_runs_own(run: Path, copy: Path) -> None:
    settings = read_json(run / "run.json")["settings"]
    model = open_run(run)
    assert model.thresholds == chosen(model.classes, settings)
    document = read_json(copy / "run.json")
    document["settings"] = {"threshold": 0.3, "threshold/1": 0.6}
    write_json(copy / "run.json", document)
    assert open_run(copy).thresholds == {"0": 0.3, "1": 0.6, "2": 0.3}
    document["settings"] = {}
    write_json(copy / "run.json", document)
    assert open_run(copy).thresholds == dict.fromkeys("012", 0.25), "a run without any: as tools do"


def test_what_matters_after_training_can_be_changed(run: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    plain = open_run(run)(image, threshold=0.0)
    few = ablab.load(run, {"postprocess.most": 5})(image, threshold=0.0)
    np.testing.assert_array_equal(few.boxes, plain.boxes[:5])
    agnostic = open_run(run, {"postprocess.agnostic": True})(image, threshold=0.0)
    assert 0 < len(agnostic) < len(plain)
    larger = open_run(run, {"train.image_size": [128, 96]})
    assert larger.finder.fit(image)[0].shape == (128, 96, 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train.epochs": 3}, "'train.epochs' would do nothing: the network is trained already"),
        ({"model.size": "s"}, r"what may be set is postprocess\.\*, train\.device"),
        ({"postprocess.nsm": "soft"}, "did you mean 'nms'"),
        ({"train.image_size": [100, 100]}, "100"),
    ],
)
def test_what_would_do_nothing_is_refused(run: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        open_run(run, changes)


class Bomb:
    """Unpickled, it would write a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.trace,)  # type: ignore[return-value]


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_in_place_of_weights_is_never_opened(copy: Path, protocol: int) -> None:
    trace = copy / "trace"
    (copy / "weights.safetensors").write_bytes(pickle.dumps(Bomb(trace), protocol))
    with pytest.raises(StoreError, match=r"weights\.safetensors is no safetensors file") as error:
        ablab.load(copy)
    assert "\n" not in str(error.value)
    assert ("(it looks like a pickle); it was not opened" in str(error.value)) == (protocol > 0)
    (copy / "w.pt").write_bytes(pickle.dumps(Bomb(trace), protocol))
    with pytest.raises(ConfigError, match=r"w\.pt is no weights of a run"):
        ablab.load(copy / "w.pt")
    assert not trace.exists()


def test_a_file_of_torch_is_said_to_be_one(copy: Path) -> None:
    torch.save({"a": torch.ones(2)}, copy / "w.pt")
    with pytest.raises(ConfigError, match="it is a pickle, which is never opened"):
        ablab.load(copy / "w.pt")


def test_damaged_weights_and_folders_without_a_run(copy: Path, tmp_path: Path) -> None:
    data = (copy / "weights.safetensors").read_bytes()
    for cut in (0, 5, 1000, len(data) - 9):
        (copy / "weights.safetensors").write_bytes(data[:cut])
        with pytest.raises(StoreError, match=r"weights\.safetensors is damaged"):
            ablab.load(copy)
    (copy / "weights.safetensors").unlink()
    with pytest.raises(StoreError, match="no file"):
        ablab.load(copy)
    with pytest.raises(ConfigError, match=r"no run's folder: it has no run\.json; it holds these"):
        ablab.load(tmp_path)
    with pytest.raises(ConfigError, match="no folder"):
        ablab.load(tmp_path / "rnu")


def test_where_memory_runs_out_the_batch_is_named(run: Path) -> None:
    model = open_run(run)

    def greedy(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory")

    model.finder.decode = greedy  # type: ignore[method-assign,assignment]
    with pytest.raises(ablab.errors.RunError, match="lower --batch"):
        model(np.zeros((8, 8, 3), np.uint8))
