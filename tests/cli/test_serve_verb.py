"""`ablab serve`: a real bundle and a real run behind HTTP; mistakes are a line."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import served
from typer.testing import CliRunner

import ablab
from ablab.cli import app

TINY = ["--set", "data.classes=3", "--set", "data.size=64", "--set", "data.scenes=[12,6,6]", "--set", "train.epochs=1"]
TINY += ["--set", "train.image_size=64", "--set", "train.batch=4", "--set", "train.threads=1"]
TINY += ["--set", "train.precision=fp32", "--set", "train.device=cpu"]
COMMAND = [sys.executable, "-m", "ablab"]


def run_verb(*arguments: object) -> str:
    command = [*COMMAND, *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(json.loads(run_verb("train", *TINY, "--folder", tmp_path_factory.mktemp("train")))["folder"])


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shipped") / "bundle"
    run_verb("export", run, "--to", "onnx", "--folder", folder, "--licence", "CC0-1.0")
    return folder


def image() -> tuple[np.ndarray, bytes]:
    """An image (50, 80, 3) in RGB, and its bytes as PNG."""
    pixels = np.random.default_rng(1).integers(0, 256, (5, 8, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
    return pixels, bytes(cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))[1])


@pytest.mark.parametrize("kind", ["bundle", "run"])
def test_it_finds_over_http_what_the_run_finds(kind: str, run: Path, request: pytest.FixtureRequest) -> None:
    place = request.getfixturevalue(kind)
    pixels, data = image()
    changes = {"postprocess.rectangular": False} if kind == "bundle" else None
    expected = ablab.load(run, changes)(pixels, threshold=0.0)
    assert len(expected) > 0
    asked = ["--port", "0", "--json", "--runtime", "onnx" if kind == "bundle" else "auto"]
    with served.started([*COMMAND, "serve", str(place), *asked]) as server:
        status, document = server.predict(data, "?threshold=0")
        assert (status, document["width"], document["height"]) == (200, 80, 50)
        assert len(document["boxes"]) == len(expected)
        np.testing.assert_allclose(document["scores"], expected.scores, atol=1e-3)
        np.testing.assert_allclose(document["boxes"][0], expected.boxes[0], atol=0.1)
        assert document["classes"][0] == expected.names[0]
        card = json.loads(server.ask("GET", "/model")[2])
        record = json.loads((run / "record.json").read_text())
        assert card["provenance"]["fingerprint"] == record["key"]["fingerprint"]
        assert set(card["thresholds"]) == set(card["classes"]) == {"0", "1", "2"}
        assert card["runtime"] == ("onnx" if kind == "bundle" else "torch")
        assert card["licence"] == ("CC0-1.0" if kind == "bundle" else "not stated")
        assert str(place.parent) not in json.dumps(card)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0


def test_mistakes_are_a_line(run: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = str(taken.getsockname()[1])
        for arguments, said in (
            (["no_such_run", "--port", "0"], "no folder no_such_run"),
            ([str(run), "--port", "0", "--runtime", "onnx"], "ablab export"),
            ([str(run), "--port", busy], "give another --port"),
            ([str(run), "--host", "256.0.0.1"], "cannot listen on 256.0.0.1"),
        ):
            done = CliRunner().invoke(app, ["serve", *arguments])
            assert done.exit_code == 2, done.output
            assert said in done.stderr
            assert "Traceback" not in done.stderr


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "uvicorn" else name)
    done = CliRunner().invoke(app, ["serve", "."])
    assert done.exit_code == 2
    assert "serving wants uvicorn, which is not installed; pip install 'ablab[serve]'" in done.stderr
