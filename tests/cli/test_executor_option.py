"""`--executor`, `--address`, `--gpus-per-run`: what does not go together is a line, before anything trains."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ablab.cli import app

STUDY = """
name: small
baseline: {task: detection, data: {path: photo-digits}}
changes: [{name: focal, because: rare, set: {loss.classification: focal}}]
"""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--address", "auto"], "go with --executor ray"),
        (["--gpus-per-run", "0.25"], "go with --executor ray"),
        (["--executor", "ray", "--gpus-per-run", "2"], "less than or equal to 1"),
        (["--executor", "slurm"], "slurm"),
        (["--executor", "ray"], "pip install 'ablab[ray]'"),
    ],
)
def test_options_that_do_not_go_together_are_a_line(
    options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    (tmp_path / "small.yaml").write_text(STUDY)
    done = CliRunner().invoke(app, ["run", str(tmp_path / "small.yaml"), "--folder", str(tmp_path / "out"), *options])
    assert done.exit_code == 2
    assert said in done.output.replace("\n", " ")
    assert not (tmp_path / "out").exists()
