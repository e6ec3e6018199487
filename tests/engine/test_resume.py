"""A training that is killed at any moment, any number of times, ends with the bits of one that was not."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import resuming

STOPPING = {"patience": 3, "least": 0.02}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "average": ({"epochs": 6, "validate_every": 2}, {}),
    "bf16 and workers": ({"epochs": 5, "workers": 2, "precision": "bf16", "batch": 4}, {}),
    "best epoch, stopped early": (
        {"epochs": 30, "accumulate": 2, "validate_every": 1, "checkpoint": "best_ema", "early_stopping": STOPPING},
        {"optimizer.lr": 0.02, "train.ema": {"decay": 0.9, "tau": 5}},
    ),
    "frozen, sgd, no average": (
        {"epochs": 6, "accumulate": 3, "freeze": ["0.*", "1.*"], "unfreeze": {3: ["*"]}, "batch": 4, "ema": None}
        | {"checkpoint": "last"},
        {"optimizer": {"name": "sgd", "lr": 0.1, "rates": {"0.*": 0.5}}, "schedule": {"name": "one-cycle"}},
    ),
    "weight averaging, lamb": (
        {"epochs": 8, "freeze": ["0.*", "1.*"], "unfreeze": {2: ["*"]}, "validate_every": 3, "ema": None}
        | {"checkpoint": "swa", "swa": {"share": 0.75, "cycle": 2}},
        {"optimizer": {"name": "lamb", "lr": 0.02}},
    ),
    "lbfgs": (
        {"epochs": 8, "accumulate": 3, "clip_norm": None, "ema": None, "checkpoint": "last"},
        {"optimizer": {"name": "lbfgs", "lr": 0.5, "weight_decay": 0, "args": {"max_iter": 3}}},
    ),
}
KILLS = 5


def outcome(folder: Path) -> tuple[bytes, Any, list[list[str]]]:
    with (folder / "curves.csv").open() as file:
        rows = list(csv.reader(file))
    timed = [rows[0].index(name) for name in resuming.TIMES]
    curves = [[cell for at, cell in enumerate(row) if at not in timed] for row in rows]
    return (folder / "weights.safetensors").read_bytes(), json.loads((folder / "result.json").read_text()), curves


def start(folder: Path, case: str, count: Any = None) -> Any:
    """A process that takes a snapshot after every step."""
    process = multiprocessing.get_context("fork").Process(
        target=resuming.train, args=(folder, *CASES[case], 0.0, count), daemon=False
    )
    process.start()
    return process


@pytest.mark.parametrize("case", CASES)
def test_killed_at_random_moments_it_ends_with_the_same_bits(case: str, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    resuming.train(whole, *CASES[case], every=1e9)
    assert not (whole / "snapshot.safetensors").exists()

    rng = np.random.default_rng(list(CASES).index(case))
    for _ in range(KILLS):
        count = multiprocessing.Value("i", 0)
        process = start(killed, case, count)
        steps, pause = int(rng.integers(0, 5)), rng.uniform(0, 0.02)  # within a step, or while a snapshot is written
        while count.value < steps and process.is_alive():
            time.sleep(0.001)
        time.sleep(pause)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    last = start(killed, case)
    last.join(120)
    assert last.exitcode == 0
    said = (killed / "said.txt").read_text().splitlines()
    assert any(line.startswith("goes on from step") for line in said), said
    assert not any("damaged" in line for line in said)
    for found, expected in zip(outcome(killed), outcome(whole), strict=True):
        assert found == expected
    assert not list(killed.glob(".snapshot*"))  # nothing half-written is left


def test_early_stopping_really_stopped_in_its_case(tmp_path: Path) -> None:
    """Otherwise the test above would not have tried it."""
    resuming.train(tmp_path, *CASES["best epoch, stopped early"], every=1e9)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["notes"]
    assert 0 < result["epoch"] < len(result["rows"]) < 30
