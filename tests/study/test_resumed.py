"""Runs that are killed go on; runs that are finished are not done again."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tiny_study import TINY, tiny

from ablab.engine import snapshot
from ablab.engine.events import Silent
from ablab.errors import UserError
from ablab.records import RunKey, RunRecord, plain_json
from ablab.study import plan, single, spec
from ablab.study.design import Arm
from ablab.study.train import train

KEY = RunKey("tiny", "baseline", 0, "0123456789abcdef")
JUDGE = spec.Judge(metric="AP50")


class Told(Silent):
    def __init__(self, dies_at: int = 0) -> None:
        self.said: list[str] = []
        self.dies_at = dies_at

    def advance(self, done: int, values: Any) -> None:
        if self.dies_at and "loss" in values and done == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def say(self, text: str) -> None:
        self.said.append(text)


def arm() -> Arm:
    recipe = tiny(
        baseline=TINY["baseline"]
        | {"train": {"epochs": 3, "image_size": 64, "batch": 4, "threads": 1, "accumulate": 2, "validate_every": 1}}
    ).baseline
    return Arm("baseline", "baseline", "", recipe, stream="tiny")


def killed_in(folder: Path, step: int) -> None:
    """A process that takes a snapshot after every step, and dies when `step` is done."""
    snapshot.SNAPSHOT_SECONDS = 0.0
    train(arm(), KEY, folder, JUDGE, Told(step))


def test_the_same_call_goes_on_after_a_kill_and_leaves_the_same_run(tmp_path: Path) -> None:
    whole = train(arm(), KEY, tmp_path / "whole", JUDGE, Silent())
    place = tmp_path / "killed" / KEY.folder
    for step in (3, 5):  # of six; the one that is done when it dies is in no snapshot yet
        process = multiprocessing.get_context("fork").Process(target=killed_in, args=(tmp_path / "killed", step))
        process.start()
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
        assert (place / "snapshot.safetensors").exists()
        assert not (place / "record.json").exists()
    (place / ".weights.safetensors.x1").touch()  # as a kill in the middle of writing leaves it
    told = Told()
    found = train(arm(), KEY, tmp_path / "killed", JUDGE, told)
    assert told.said == ["goes on from step 4 of 6"]
    assert plain_json(found.scores) == plain_json(whole.scores)
    assert found.batch_hash == whole.batch_hash
    for name in ("weights.safetensors", "run.json", "curves.json"):
        assert (place / name).read_bytes() == (tmp_path / "whole" / KEY.folder / name).read_bytes(), name
    expected = {"record.json", "run.json", "curves.csv", "curves.json", "items-validation.npz", "weights.safetensors"}
    assert {path.name for path in place.iterdir()} == expected
    assert found.cost["run_seconds"] > found.cost["train_seconds"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord, Path]:
    folder = tmp_path_factory.mktemp("train")
    record, place = once(folder, Told())
    return folder, record, place


def once(folder: Path, told: Told) -> tuple[RunRecord, Path]:
    small = {"data.classes": 3, "data.size": 64, "data.scenes": [12, 6, 6], "train.epochs": 1, "train.image_size": 64}
    return single.train(None, small | {"train.batch": 4, "train.threads": 1}, 0, folder, [], told)


def test_a_finished_run_is_not_done_again(
    finished: tuple[Path, RunRecord, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, record, place = finished

    def never(*_: object) -> None:
        raise AssertionError("a finished run was trained again")

    monkeypatch.setattr(single, "train_arm", never)
    told = Told()
    again, there = once(folder, told)
    assert there == place
    assert plain_json(again.scores) == plain_json(record.scores)
    assert told.said[-1] == f"{place} is done already; to train it again, give another --folder or --seed"


def test_the_end_of_a_training_tells_seconds_and_speed(tmp_path: Path) -> None:
    told = Told()
    record, _ = once(tmp_path, told)
    speed = record.cost["images_per_second"]
    assert speed == pytest.approx(12 / record.cost["train_seconds"])
    assert told.said[-1] == f"trained in {record.cost['train_seconds']:.1f} s: {speed:.1f} images/s of the whole loop"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train.freeze": ["bakbone.*"]}, r"change 'odd': train\.freeze: 'bakbone\.\*' .*did you mean 'backbone\.\*'"),
        ({"optimizer.rates": {"nowhere": 0.5}}, r"change 'odd': optimizer\.rates: 'nowhere' matches no parameter"),
        ({"optimizer.name": "lyon"}, "change 'odd': unknown optimizer 'lyon'; did you mean 'lion'"),
        ({"optimizer.args": {"nestrov": True}}, "change 'odd': optimizer.args: 'adamw' takes no 'nestrov'"),
        ({"optimizer.name": "lbfgs", "optimizer.weight_decay": 0}, "change 'odd': LBFGS .* set train.clip_norm"),
        (
            {"train.freeze": ["head.*"], "train.unfreeze": {2: ["backbone.*"]}, "train.epochs": 3},
            r"change 'odd': train\.unfreeze in epoch 2: 'backbone\.\*' names nothing that is frozen",
        ),
    ],
)
def test_a_glob_that_does_nothing_is_refused_with_the_plan(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        plan.plan(tiny(changes=[{"name": "odd", "set": change}], controls=[]), [], Silent())
