"""What a study takes, against measured runs, files that were written, and sums by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_study import tiny
from torch import nn

from ablab.engine import checkpoint
from ablab.engine.events import Silent
from ablab.study import plan, resources
from ablab.study import run as running

ROW: dict[str, Any] = {"arm": "baseline", "memory_mb": 1000.0, "state_mb": 7.0, "disk_mb": 8.0}


def test_what_a_convolution_keeps_is_its_input_and_weights() -> None:
    conv, x = nn.Conv2d(3, 8, 3, bias=False), torch.zeros(2, 3, 16, 16, requires_grad=True)
    out, kept = resources.kept_bytes(lambda: conv(x).relu())
    assert out.shape == (2, 8, 14, 14)
    assert kept == 4 * (x.numel() + conv.weight.numel() + out.numel())  # relu keeps its own result


def test_a_network_takes_its_files_size(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.Linear(64, 500))
    checkpoint.save_weights(tmp_path / "weights.safetensors", model)
    assert (tmp_path / "weights.safetensors").stat().st_size == pytest.approx(resources.state_bytes(model), rel=0.01)


@pytest.mark.parametrize(
    ("state", "kept", "measured"),
    [(6.82, 54.6, 781), (6.82, 54.6, 792), (6.82, 54.6, 843), (6.82, 244.9, 1011), (6.82, 244.9, 1043)],  # YOLOv5n
)
def test_the_memory_of_measured_runs_is_met_within_a_tenth(state: float, kept: float, measured: float) -> None:
    said = resources.memory_mb(int(state * resources.MB), kept * resources.MB)
    assert said == pytest.approx(measured, rel=0.1)


def test_a_studys_disk_by_hand() -> None:
    rows = [ROW, ROW | {"arm": "wide", "disk_mb": 12.0, "state_mb": 11.0}]
    assert resources.needed_mb(rows, 5, 3) == 5 * 20 + 3 * 4 * 11


def test_what_will_not_fit_is_told() -> None:
    assert resources.shortages([ROW], 100, 200, 1, cuda=False) == []
    (disk,) = resources.shortages([ROW], 300, 200, 1, cuda=False)
    assert "about 300 MB of disk, and 200 are free" in disk
    (memory,) = resources.shortages([ROW | {"memory_mb": 1e9}], 100, 200, 1, cuda=False)
    assert "a run of baseline will take about 1,000,000,000 MB of memory" in memory


def test_the_plan_of_a_study_says_what_its_run_then_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "free_mb", lambda _: 1.0)
    study = tiny(changes=[], controls=["a/a"], seeds=1)
    document = plan.plan(study, (), Silent(), jobs=1, shelf=tmp_path)
    assert any("the study will take about" in note and "1 are free" in note for note in document["notes"])
    running.run(study, tmp_path / "s", display=Silent(), jobs=1)
    left = sum(path.stat().st_size for path in tmp_path.glob("s/runs/*/*/*")) / resources.MB
    said = sum(row["disk_mb"] for row in document["arms"])
    assert said == pytest.approx(left, rel=0.1)
    for row in document["arms"]:
        assert 600 < row["memory_mb"] < 1200
