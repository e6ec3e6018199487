"""Starting weights through a whole run: found beside the file, named by content, loaded, told, and not needed again."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml
from tiny_study import TINY, tiny
from typer.testing import CliRunner

from ablab.cli import app
from ablab.config import override
from ablab.engine import checkpoint
from ablab.engine.events import Silent
from ablab.errors import ConfigError
from ablab.measure.seeding import forked
from ablab.records import read_json, read_record
from ablab.study import single, spec
from ablab.study.build import build, untaught
from ablab.study.design import arms, run_fingerprint
from ablab.study.plan import plan
from ablab.study.restore import restore
from ablab.tasks.detection.task import Detection

NAME = "lcnet_050"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a timm network's weights, and a detector's as a run would write them."""
    folder = tmp_path_factory.mktemp("files")
    with forked("whole"):
        torch.save({"state_dict": timm.create_model(NAME).state_dict()}, folder / "lcnet.pt")
    arm = arms(tiny())[0]
    checkpoint.save_weights(folder / "weights.safetensors", build(Detection(arm.recipe), arm, 7).model)  # type: ignore[arg-type]
    return folder


def recipe(**model: Any) -> dict[str, Any]:
    return TINY["baseline"] | {"model": model}


def backbone(pretrained: bool | str) -> dict[str, Any]:
    return {"part": "timm", "args": {"name": NAME, "pretrained": pretrained}}


def test_paths_are_relative_to_the_study(files: Path, tmp_path: Path) -> None:
    shutil.copy(files / "lcnet.pt", tmp_path / "lcnet.pt")
    shutil.copy(files / "weights.safetensors", tmp_path / "weights.safetensors")
    (tmp_path / "elsewhere").mkdir()
    data = TINY | {
        "baseline": recipe(backbone=backbone("lcnet.pt")) | {"start": {"weights": "weights.safetensors"}},
        "changes": [
            {"name": "bare", "set": {"model.backbone": backbone(False), "start": {"weights": "./later.pt"}}},
            {"name": "word", "set": {"model.backbone.args.name": "resnet18"}},
        ],
    }
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(data))
    study = spec.load(tmp_path / "s.yaml")
    made = {arm.name: arm.recipe for arm in arms(study)}
    assert made["baseline"].start is not None
    assert made["baseline"].start.weights == str(tmp_path / "weights.safetensors")
    assert made["baseline"].model.backbone.args["pretrained"] == str(tmp_path / "lcnet.pt")  # type: ignore[attr-defined]
    assert made["bare"].start is not None
    assert made["bare"].start.weights == str(tmp_path / "later.pt")
    assert made["word"].model.backbone.args["name"] == "resnet18"  # type: ignore[attr-defined]


def test_a_run_is_named_by_the_content_of_its_files(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = arms(tiny())[0]

    def name(changes: dict[str, Any]) -> str:
        return run_fingerprint(replace(arm, recipe=override(arm.recipe, changes)), 0, "m", "p", "1")

    copy = tmp_path / "copy.pt"
    shutil.copy(files / "lcnet.pt", copy)
    for key in ("start.weights", "model.backbone"):

        def given(path: Path, key: str = key) -> str:
            return name({key: str(path) if key == "start.weights" else backbone(str(path))})

        same = given(files / "lcnet.pt")
        assert same == given(copy) != given(files / "weights.safetensors")
        assert same != name({})
    before = name({"start.weights": str(copy)})
    copy.write_bytes(copy.read_bytes() + b"more")
    assert before != name({"start.weights": str(copy)})
    folder = name({"start.weights": str(files)})  # as a run's folder
    assert folder == name({"start.weights": str(files / "weights.safetensors")})
    monkeypatch.chdir(files.parent)  # where a bare name is a folder, too
    assert folder == name({"start.weights": files.name})


def test_the_baseline_is_loaded_before_the_operation(files: Path) -> None:
    arm = arms(tiny(baseline=TINY["baseline"] | {"start": {"weights": str(files)}}))[1]
    made = build(Detection(arm.recipe), arm, 0)  # type: ignore[arg-type]
    state = checkpoint.read_weights(files / "weights.safetensors")
    own = made.model.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in state.items())
    assert any(".cbam" in name for name in own)
    assert made.weights_loaded == 1.0


def test_other_classes_in_another_order_are_said(files: Path, tmp_path: Path) -> None:
    shutil.copy(files / "weights.safetensors", tmp_path)
    arm = arms(tiny(baseline=TINY["baseline"] | {"start": {"weights": str(tmp_path)}}))[0]
    task = Detection(arm.recipe)  # type: ignore[arg-type]
    for classes, said in ((list(task.classes), False), (list(task.classes[::-1]), True), (["a"], False)):
        (tmp_path / "run.json").write_text(json.dumps({"facts": {"classes": classes}}))
        notes = build(task, arm, 0).notes
        assert bool(notes) == said
    assert not notes
    (tmp_path / "run.json").write_text(json.dumps({"facts": {"classes": list(task.classes[::-1])}}))
    (note,) = build(task, arm, 0).notes
    assert f"were {', '.join(task.classes[::-1])}, and here they are {', '.join(task.classes)}" in note


def test_a_recipe_untaught_has_nothing_pretrained(files: Path) -> None:
    made = spec.recipe(recipe(backbone=backbone("x.pt")) | {"start": {"weights": "y.pt"}}, "here", files)
    bare = untaught(made)
    assert bare.start is None
    assert bare.model.backbone.args == {"name": NAME, "pretrained": False}  # type: ignore[attr-defined]
    assert bare.train == made.train


@pytest.fixture(scope="module")
def trained(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that began with a pretrained backbone from a file and then with starting weights; both files are gone."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copy(files / "lcnet.pt", folder / "lcnet.pt")
    rename = {"": "backbone.body.net."}
    data = recipe(backbone=backbone("lcnet.pt")) | {"start": {"weights": "lcnet.pt", "rename": rename}}
    (folder / "r.yaml").write_text(yaml.safe_dump(data))
    record, place = single.train(folder / "r.yaml", {}, 0, folder / "out", [], Silent())
    assert record.status == "done", record.error
    (folder / "lcnet.pt").unlink()
    return place


def test_a_run_keeps_what_became_of_every_tensor(trained: Path) -> None:
    kept = read_json(trained / "weights.json")
    fates = {row["name"] or row["target"]: row["fate"] for row in kept["rows"]}
    assert fates["conv_stem.weight"] == "loaded"
    assert fates["classifier.weight"] == "not in the network"
    assert fates["head.predict.0.weight"] == "not in the file"
    assert read_record(trained / "record.json").weights_loaded == pytest.approx(kept["share"], abs=0.02)


def test_a_finished_run_is_restored_without_the_files(trained: Path) -> None:
    _, model, arm, _ = restore(trained)
    weights = checkpoint.read_weights(trained / "weights.safetensors")
    own = model.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in weights.items())
    assert arm.recipe.start is not None  # the record of how it began stays


def test_plan_says_how_much_each_arm_holds(files: Path) -> None:
    changes = [{"name": "se", "edits": [{"op": "replace", "of": "backbone.stage5.1", "part": "se"}]}]
    study = tiny(baseline=TINY["baseline"] | {"start": {"weights": str(files)}}, changes=changes, controls=[])
    document = plan(study, [], Silent())
    shares = {row["arm"]: row["weights_loaded"] for row in document["arms"]}
    assert shares["baseline"] == 1.0
    assert 0.5 < shares["se"] < 1.0
    assert any(note.startswith("start: ") and "loaded (100.0%)" in note for note in document["arms"][0]["notes"])


def test_too_little_ends_before_anything_trains(files: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"start: only 0 of .*start.rename: \{'': 'backbone.body.net.'\} would load"):
        single.train(
            None,
            _settings() | {"model.backbone": backbone(False), "start.weights": str(files / "lcnet.pt")},
            0,
            tmp_path,
            [],
            Silent(),
        )


def _settings() -> dict[str, Any]:
    data, train = TINY["baseline"]["data"], TINY["baseline"]["train"]
    return {f"data.{k}": v for k, v in data.items()} | {f"train.{k}": v for k, v in train.items()}


def test_the_verb_lists_a_file_and_what_a_recipe_would_take(files: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    listed = json.loads(run(app, ["weights", str(files / "lcnet.pt"), "--json"]).stdout)
    assert (listed["form"], listed["taken_off"]) == ("torch", ["state_dict"])
    stem = listed["tensors"][0]
    assert stem == {
        "name": "conv_stem.weight",
        "shape": [8, 3, 3, 3],
        "dtype": "float32",
        "numbers": 216,
        "finite": True,
    }
    assert "tensors" in run(app, ["weights", str(files / "lcnet.pt")]).stdout
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe(backbone=backbone("gone.pt"))))
    arguments = ["weights", str(files / "lcnet.pt"), "--recipe", str(tmp_path / "r.yaml")]
    document = json.loads(run(app, [*arguments, "--json"]).stdout)
    assert (document["share"], document["rename"]) == (0.0, {"": "backbone.body.net."})
    assert "would load" in run(app, arguments).stdout.replace("\n", " ")
    renamed = json.loads(
        run(app, [*arguments, "--set", 'start={weights: x, rename: {"": backbone.body.net.}}', "--json"]).stdout
    )
    assert 0.9 < renamed["share"] < 1.0


def test_the_verb_answers_a_bad_file_with_a_line(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"")
    done = CliRunner().invoke(app, ["weights", str(tmp_path / "w.safetensors"), "--json"])
    assert done.exit_code == 2
    assert "is empty" in json.loads(done.stdout)["error"]
