"""TensorRT where there is none: the command, and what is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import shipped

from ablab.errors import ConfigError, RunError
from ablab.export import Model, ship
from ablab.export.runners import TensorRTRunner
from ablab.export.tensorrt import build_command, write_engine


def put_trtexec(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A trtexec on PATH."""
    path = folder / "trtexec"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_the_command() -> None:
    assert build_command(Path("model.onnx"), Path("model.engine"), (64, 96), most=8) == [
        "trtexec",
        "--onnx=model.onnx",
        "--saveEngine=model.engine",
        "--minShapes=images:1x64x96x3",
        "--optShapes=images:8x64x96x3",
        "--maxShapes=images:8x64x96x3",
        "--fp16",
        "--skipInference",
    ]


def test_without_trtexec_the_command_is_told(patient: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"trtexec is not on PATH.*trtexec --onnx=model\.onnx .*1x64x96x3"):
        ship(patient, shipped.card(), tmp_path / "b", ["tensorrt"])


def test_trtexec_is_run_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_trtexec(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/asked; echo engine > {tmp_path}/model.engine')
    write_engine(tmp_path / "model.onnx", tmp_path / "model.engine", (64, 96))
    asked = (tmp_path / "asked").read_text().split()
    assert asked == build_command(tmp_path / "model.onnx", tmp_path / "model.engine", (64, 96))[1:]


@pytest.mark.parametrize("script", ["echo no card >&2; exit 3", "exit 0"])
def test_a_failure_of_trtexec_is_told(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_trtexec(tmp_path, monkeypatch, script)
    with pytest.raises(RunError, match=r"trtexec failed with exit code [03]"):
        write_engine(tmp_path / "model.onnx", tmp_path / "model.engine", (64, 96))


def test_without_the_package_the_runner_says_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ConfigError, match=r"tensorrt, which cannot be imported .*NVIDIA"):
        TensorRTRunner(tmp_path / "model.engine")
