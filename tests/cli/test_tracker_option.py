"""`--tracker`: a mirror of what a verb leaves on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ablab.cli import app

TINY = ["--set", "data.classes=3", "--set", "data.size=64", "--set", "data.scenes=[12,6,6]", "--set", "train.epochs=1"]
TINY += ["--set", "train.image_size=64", "--set", "train.batch=4", "--set", "train.threads=1"]
STUDY = """
name: small
baseline: {task: detection, data: {path: photo-digits}}
changes: [{name: focal, because: rare, set: {loss.classification: focal}}]
"""


@pytest.mark.parametrize(
    ("asked", "said"), [("tensorbord", "did you mean 'tensorboard'"), ("mlflow", "http"), ("wandb=x", "offline")]
)
@pytest.mark.parametrize("verb", ["run", "train"])
def test_a_tracker_that_is_none_is_told_before_anything_trains(
    verb: str, asked: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text(STUDY)
    file = [str(tmp_path / "small.yaml")]
    done = CliRunner().invoke(app, [verb, *file, "--folder", str(tmp_path / "out"), "--tracker", asked])
    assert done.exit_code == 2
    assert said in done.output
    assert not (tmp_path / "out").exists()


def test_train_is_mirrored_when_it_ended(tmp_path: Path) -> None:
    reading = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    command = ["train", *TINY, "--folder", str(tmp_path / "out"), "--tracker", f"tensorboard={tmp_path / 'events'}"]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    record = next((tmp_path / "out").glob("runs/*/*/record.json"))
    found = reading.EventAccumulator(str(tmp_path / "events" / record.parent.relative_to(tmp_path / "out"))).Reload()
    scores = json.loads(record.read_text())["scores"]["validation"]
    assert found.Scalars("validation/AP")[0].value == pytest.approx(scores["AP"])
    assert [event.step for event in found.Scalars("epoch/loss")] == [1]
