"""`ablab export`: a run becomes a bundle; mistakes are a line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from ablab.cli import app
from ablab.errors import ConfigError
from ablab.export import read_bundle
from ablab.study.restore import restore

TINY = ["--set", "data.classes=3", "--set", "data.size=64", "--set", "data.scenes=[12,6,6]", "--set", "train.epochs=1"]
TINY += ["--set", "train.image_size=64", "--set", "train.batch=4", "--set", "train.threads=1"]


def ablab(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ablab", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    done = ablab("train", *TINY, "--folder", tmp_path_factory.mktemp("train"), "--json")
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout)["folder"])


def test_a_run_becomes_a_bundle(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    done = ablab("export", run, "--to", "onnx", "--folder", folder, "--licence", "CC0-1.0", "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    card = read_bundle(folder).card
    assert document["folder"] == str(folder)
    assert set(document["runtimes"]) == {"torch", "torch-bf16", "onnx"}
    record, trained = (json.loads((run / f"{name}.json").read_text()) for name in ("record", "run"))
    assert card.provenance.fingerprint == record["key"]["fingerprint"]
    assert card.provenance.scores == record["scores"]
    assert card.thresholds == trained["settings"]
    assert card.classes == tuple(trained["facts"]["classes"])
    assert (card.licence, card.preprocessing.image_size, card.preprocessing.fill) == ("CC0-1.0", (64, 64), 114)
    again = CliRunner().invoke(app, ["export", str(folder), "--folder", str(tmp_path / "again")])
    assert (again.exit_code, "is a bundle already" in again.stderr) == (2, True)
    assert card.runtimes["torch"].before == pytest.approx(record["scores"]["validation"]["AP"], abs=0.05)


def test_mistakes_are_a_line(run: Path, tmp_path: Path) -> None:
    for arguments, said in (
        (["no_such_run"], "no folder no_such_run"),
        ([run, "--to", "onxn", "--folder", tmp_path / "b"], "did you mean 'onnx'"),
        ([run, "--folder", run], "not empty"),
    ):
        done = CliRunner().invoke(app, ["export", *map(str, arguments)])
        assert done.exit_code == 2, done.output
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_int8_measures_its_ranges_on_training_images(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def ship(*given: Any) -> None:
        seen.append(given)
        raise ConfigError("enough")

    monkeypatch.setattr(sys.modules["ablab.export.ship"], "ship", ship)
    for more in ([], ["--tolerance", "0.02"]):
        command = ["export", str(run), "--to", "onnx-int8", "--folder", str(tmp_path / "b"), *more]
        assert "enough" in CliRunner().invoke(app, command).stderr
    (model, card, *_), (_, looser, *_) = seen
    plain = restore(run)[0].data(("any", 0)).plain
    np.testing.assert_array_equal(model.training, [plain[0, index].image for index in range(len(plain))])
    assert (card.tolerance, card.tolerance_int8) == (0.001, 0.01)
    assert (looser.tolerance, looser.tolerance_int8) == (0.02, 0.02)
