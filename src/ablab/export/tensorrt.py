"""TensorRT: an engine built for one kind of card by NVIDIA's command trtexec."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ablab.errors import ConfigError, RunError
from ablab.export.onnx import INPUT


def build_command(onnx: Path, engine: Path, image_size: Sequence[int], most: int = 16) -> list[str]:
    """The command that builds an fp16 engine for batches of 1 to `most`; `image_size` is (H, W)."""
    height, width = image_size
    shapes = {"min": 1, "opt": most, "max": most}
    return [
        "trtexec",
        f"--onnx={onnx}",
        f"--saveEngine={engine}",
        *(f"--{name}Shapes={INPUT}:{batch}x{height}x{width}x3" for name, batch in shapes.items()),
        "--fp16",
        "--skipInference",
    ]


def find_trtexec(image_size: Sequence[int]) -> str:
    """Where trtexec is. Raises ConfigError, with the command to run elsewhere, where it is not on PATH."""
    found = shutil.which("trtexec")
    if found is None:
        command = shlex.join(build_command(Path("model.onnx"), Path("model.engine"), image_size))
        raise ConfigError(
            f"trtexec is not on PATH: it comes with TensorRT, and an engine is built on the kind of card that will run "
            f"it. Export with --to onnx, and there, in the bundle: {command}"
        )
    return found


def write_engine(onnx: Path, engine: Path, image_size: Sequence[int]) -> None:
    """Run trtexec. Raises ConfigError where it is missing, RunError with its last words where it fails."""
    command = [find_trtexec(image_size), *build_command(onnx, engine, image_size)[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not engine.is_file():
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise RunError(f"trtexec failed with exit code {done.returncode}: {' | '.join(lines[-3:])}")
