"""A run that teaches another: what changes, what must not, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_study import TINY, tiny
from torch import nn

from ablab.config import override
from ablab.engine.distil import Taught, attention_gap
from ablab.engine.events import Silent
from ablab.errors import ConfigError, UserError
from ablab.records import RunKey, RunRecord
from ablab.study import resources, spec
from ablab.study.design import Arm, arms, run_fingerprint
from ablab.study.plan import plan
from ablab.study.rates import try_rates
from ablab.study.restore import restore
from ablab.study.teacher import taught
from ablab.study.train import train

JUDGE = spec.Judge(metric="AP50")
WIDE: dict[str, Any] = TINY["baseline"] | {"model": {"width": 0.1, "depth": 0.1}}
SMALL: dict[str, Any] = TINY["baseline"] | {"model": {"width": 0.05, "depth": 0.1}}
SMALL_SET = {f"{key}.{inner}": value for key in ("data", "train") for inner, value in SMALL[key].items()}


def run(folder: Path, arm: Arm) -> tuple[RunRecord, Path]:
    key = RunKey("tiny", arm.name, 0, "0123456789abcdef")
    record = train(arm, key, folder, JUDGE, Silent())
    assert record.status == "done", record.error
    return record, folder / key.folder


def pupil(teacher: Path, baseline: dict[str, Any] = SMALL, **asked: Any) -> Arm:
    change = {"name": "taught", "because": "a wider one knows", "set": {"distill": {"teacher": str(teacher), **asked}}}
    return arms(tiny(baseline=baseline, changes=[change], controls=[]))[1]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("teacher"), arms(tiny(baseline=WIDE, controls=[]))[0])[1]


@pytest.fixture(scope="module")
def free_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    baseline = WIDE | {"model": WIDE["model"] | {"head": "anchor-free"}}
    return run(tmp_path_factory.mktemp("free"), arms(tiny(baseline=baseline, controls=[]))[0])[1]


def test_it_learns_from_it_and_costs_what_the_baseline_costs(teacher: Path, tmp_path: Path) -> None:
    alone, own = run(tmp_path, arms(tiny(baseline=SMALL, controls=[]))[0])
    record, place = run(tmp_path, pupil(teacher, features=1.0))
    assert record.batch_hash == alone.batch_hash
    for name in ("parameters", "flops"):
        assert record.cost[name] == alone.cost[name]
    weights, plain = load_file(place / "weights.safetensors"), load_file(own / "weights.safetensors")
    assert weights.keys() == plain.keys()
    assert any(not torch.equal(weights[name], plain[name]) for name in plain)
    columns = (place / "curves.csv").read_text().splitlines()[0].split(",")
    assert {"distill/logits", "distill/boxes", "distill/features"} <= set(columns)
    assert restore(place)[2].recipe.distill  # its own weights are enough to open it


@pytest.mark.parametrize("head", ["anchor", "anchor-free"])
def test_the_teacher_stays_as_it_was_and_the_loss_is_the_sum(head: str, teacher: Path, free_teacher: Path) -> None:
    place = {"anchor": teacher, "anchor-free": free_teacher}[head]
    arm = pupil(place, SMALL | {"model": SMALL["model"] | {"head": head}}, boxes=0.5)
    plain, _, _, _ = restore(place)
    task = taught(type(plain)(arm.recipe), arm.recipe)  # type: ignore[call-arg]
    assert isinstance(task, Taught)
    before = {name: tensor.clone() for name, tensor in task.teacher.state_dict().items()}
    torch.manual_seed(0)
    student = task.build().train()
    splits = task.data(("tiny", 0))
    batch = task.collate([splits.train[0, index] for index in range(4)])
    step = task.step(student, batch)
    step.loss.backward()
    assert step.loss.item() == pytest.approx(sum(part.item() for part in step.parts.values()), rel=1e-5)
    assert step.parts["distill/logits"] > 0
    assert step.parts["distill/boxes"] > 0
    assert "distill/features" not in step.parts
    assert all(parameter.grad is not None for parameter in student.parameters())
    after = task.teacher.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(parameter.requires_grad for parameter in task.teacher.parameters())
    assert not any(module._forward_pre_hooks for module in student.modules())


def test_attention_is_where_energy_is_whatever_the_width() -> None:
    narrow, wide = torch.zeros(1, 2, 2, 2), torch.zeros(1, 5, 2, 2)
    narrow[0, :, 0, 0], wide[0, 3, 0, 0] = 3.0, -7.0
    assert attention_gap([narrow], [wide]).item() == 0
    elsewhere = wide.flip(3)
    assert attention_gap([narrow, narrow], [elsewhere, wide]).item() == pytest.approx(2)  # two orthogonal unit vectors


def test_a_teacher_counts_by_its_weights_wherever_it_lies(teacher: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(teacher, tmp_path / "moved"))
    names = [run_fingerprint(pupil(place), 0, "m", "p", "v") for place in (teacher, moved)]
    assert names[0] == names[1]
    with (moved / "weights.safetensors").open("ab") as file:
        file.write(b"\0")
    assert run_fingerprint(pupil(moved), 0, "m", "p", "v") != names[0]
    assert run_fingerprint(pupil(teacher, logits=2.0), 0, "m", "p", "v") != names[0]


def test_a_bare_name_is_a_folder_too(teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = Path(shutil.copytree(teacher, tmp_path / "bare"))
    monkeypatch.chdir(tmp_path)
    before = run_fingerprint(pupil(Path("bare")), 0, "m", "p", "v")
    assert before == run_fingerprint(pupil(moved), 0, "m", "p", "v")
    with (moved / "weights.safetensors").open("ab") as file:
        file.write(b"\0")
    assert run_fingerprint(pupil(Path("bare")), 0, "m", "p", "v") != before


def test_the_run_names_it_and_one_that_changed_since_is_refused(teacher: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(teacher, tmp_path / "moved"))
    arm = pupil(moved)
    digest = hashlib.sha256((moved / "weights.safetensors").read_bytes()).hexdigest()
    _, place = run(tmp_path / "first", arm)
    assert json.loads((place / "run.json").read_text())["arm"]["teacher"] == f"sha256:{digest}"
    halved = {name: tensor / 2 for name, tensor in load_file(moved / "weights.safetensors").items()}
    save_file(halved, moved / "weights.safetensors")
    with pytest.raises(ConfigError, match="other weights than when this run was planned"):
        run(tmp_path / "second", arm)
    run(tmp_path / "second", pupil(moved))  # asked for anew, it is another run


def test_the_plan_finds_room_for_it(teacher: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the network, whatever a step keeps."""
    monkeypatch.setattr(resources, "kept_bytes", lambda step: (step(), 0))
    change = {"name": "taught", "because": "x", "set": {"distill.teacher": str(teacher)}}
    rows = plan(tiny(baseline=SMALL, changes=[change], controls=[]), (), Silent(), jobs=1)["arms"]
    weights = load_file(teacher / "weights.safetensors").values()
    more = sum(tensor.numel() * tensor.element_size() for tensor in weights) / 2**20
    assert rows[1]["memory_mb"] - rows[0]["memory_mb"] == pytest.approx(more)


def test_the_range_test_is_of_the_taught_training(teacher: Path) -> None:
    with pytest.raises(ConfigError, match="no finished run"):
        try_rates(None, SMALL_SET | {"distill.teacher": "/nowhere/run"}, 0, [], Silent())


def test_what_cannot_teach_is_told_before_anything_trains(teacher: Path, free_teacher: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(teacher, tmp_path / "changed"))
    run_json = json.loads((changed / "run.json").read_text())
    run_json["facts"]["classes"] = ["a", "b", "c"]
    (changed / "run.json").write_text(json.dumps(run_json))
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "run.json").write_text('{"arm": 3}')
    for place, said in (
        (tmp_path / "none", "no finished run"),
        (changed, "other classes"),
        (free_teacher, "has an anchor-free head"),
        (tmp_path / "odd", "not what a run leaves"),
    ):
        study = tiny(
            baseline=SMALL,
            changes=[{"name": "taught", "because": "x", "set": {"distill.teacher": str(place)}}],
            controls=[],
        )
        with pytest.raises(UserError, match=f"change 'taught': .*{said}"):
            plan(study, [], Silent())


def test_a_recipe_in_which_it_would_do_nothing_is_refused() -> None:
    recipe = tiny(baseline=SMALL).baseline
    with pytest.raises(ConfigError, match="would do nothing"):
        override(recipe, {"distill": {"teacher": "x", "logits": 0, "boxes": 0}}, "test")
    with pytest.raises(ConfigError, match=r"train\.compile hides"):
        override(recipe, {"distill": {"teacher": "x", "features": 1}, "train.compile": True}, "test")


def test_a_task_without_distil_says_so() -> None:
    class Plain(nn.Module):
        pass

    recipe = override(tiny(baseline=SMALL).baseline, {"distill.teacher": "x"}, "test")
    with pytest.raises(ConfigError, match="cannot be taught"):
        taught(Plain(), recipe)  # type: ignore[arg-type]
