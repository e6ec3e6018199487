"""A run in two processes: from the recipe to the record, with parts of the user's own; torchrun's rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_study import TINY, tiny

from ablab import registry
from ablab.engine.events import Silent
from ablab.errors import ConfigError
from ablab.recipe import Edit
from ablab.records import RunKey, RunRecord, read_record
from ablab.study import run, spec
from ablab.study.design import Arm
from ablab.study.plan import at_a_time
from ablab.study.train import train

KEY = RunKey("tiny", "own", 0, "0123456789abcdef")
OWN = """
from torch import Tensor, nn
from ablab import register

@register("activation", "halved_relu")
class HalvedReLU(nn.Module):
    '''x / 2 where it is positive.  (*) -> (*)'''
    def forward(self, x: Tensor) -> Tensor:
        return x.relu() / 2
"""
SMALL = """
import torch
from torch import Tensor, distributed, nn
from ablab import register

@register("activation", "small_card")
class SmallCard(nn.SiLU):
    '''SiLU; rank 1's card holds three images.  (*) -> (*)'''
    def forward(self, x: Tensor) -> Tensor:
        if distributed.is_initialized() and distributed.get_rank() and len(x) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return super().forward(x)
"""


class Told(Silent):
    def __init__(self) -> None:
        self.names: list[str] = []
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def begin(self, name: str, total: int) -> None:
        self.names.append(name)


def arm(part: str = "halved_relu", **settings: object) -> Arm:
    train = TINY["baseline"]["train"] | {"device": "cpu", "devices": 2} | settings
    edits = (Edit(op="replace", of="silu", part=part),)
    return Arm("own", "change", "", tiny(baseline=TINY["baseline"] | {"train": train}).baseline, edits, stream="tiny")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plugin") / "own.py"
    file.write_text(OWN)
    registry.load_plugins([file])
    return file


def test_a_run_in_two_processes_leaves_one_record(plugin: Path, tmp_path: Path) -> None:
    told = Told()
    record = train(arm(), KEY, tmp_path, spec.Judge(metric="AP50"), told, [plugin])
    assert record.status == "done", record.error
    assert record.environment["devices"] == "2"
    assert len(record.edits.sites) > 50
    assert told.names == ["train", "evaluate"]
    place = tmp_path / KEY.folder
    assert read_record(place / "record.json").scores["validation"]["AP50"] == record.scores["validation"]["AP50"]
    assert {path.name for path in place.iterdir()} >= {"curves.csv", "run.json", "weights.safetensors"}
    assert not (place / "snapshot.safetensors").exists()


def test_what_fails_in_a_rank_fails_as_it_would_alone(plugin: Path, tmp_path: Path) -> None:
    """A rank that does not know the user's part says so, with its own type: the user's mistake, and no record."""
    with pytest.raises(ConfigError, match="halved_relu"):
        train(arm(), KEY, tmp_path, spec.Judge(metric="AP50"), Silent())
    assert not list(tmp_path.rglob("record.json"))


def test_where_a_rank_runs_out_of_memory_all_begin_again_in_smaller_batches(tmp_path: Path) -> None:
    """The same weights to the bit as with the smaller batches from the start."""
    plugin, told = tmp_path / "small.py", Told()
    plugin.write_text(SMALL)
    registry.load_plugins([plugin])
    judge = spec.Judge(metric="AP50")
    first = train(arm("small_card", batch=8), KEY, tmp_path / "first", judge, told, [plugin])
    assert first.status == "done", first.error
    assert [line for line in told.said if "beginning again with batches of 4, 2 a step" in line]
    assert any("trained in batches of 4 with train.accumulate 2, so a step still has 8" in note for note in first.notes)
    second = train(arm("small_card", batch=4, accumulate=2), KEY, tmp_path / "second", judge, Silent(), [plugin])
    assert first.batch_hash == second.batch_hash
    weights = [(tmp_path / name / KEY.folder / "weights.safetensors").read_bytes() for name in ("first", "second")]
    assert weights[0] == weights[1]
    third = train(arm("small_card", batch=9), KEY, tmp_path / "third", judge, Silent(), [plugin])
    assert third.status == "failed"
    assert "out of memory with batches of 9" in third.error


def test_divergence_is_recorded_as_such(tmp_path: Path) -> None:
    edited = arm(precision="fp32", clip_norm=None, epochs=4)
    recipe = edited.recipe.model_copy(update={"optimizer": edited.recipe.optimizer.model_copy(update={"lr": 1e30})})
    record: RunRecord = train(
        Arm("own", "change", "", recipe, stream="tiny"), KEY, tmp_path, spec.Judge(metric="AP50"), Silent()
    )
    assert record.status == "diverged"
    assert "training diverged in epoch" in record.error


def test_runs_at_a_time_leave_cores_for_their_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    for devices, runs in ((1, 8), (2, 4), (16, 1)):
        train = TINY["baseline"]["train"] | {"device": "cpu", "devices": devices}
        assert at_a_time(tiny(baseline=TINY["baseline"] | {"train": train})) == runs


def test_a_study_under_torchrun_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"set train\.devices, and run it without torchrun"):
        run.run(tiny(), tmp_path, display=Silent())
    with pytest.raises(ConfigError, match=r"torchrun started 2 processes, and train\.devices is 1"):
        train(arm(devices=1), KEY, tmp_path, spec.Judge(metric="AP50"), Silent())
