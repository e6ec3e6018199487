"""A training for tests that kill it, importable by its process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tiny import Tiny, fresh, recipe

from ablab.config import override
from ablab.engine.checkpoint import save_weights
from ablab.engine.events import Silent
from ablab.engine.fit import fit
from ablab.engine.snapshot import Snapshots

TIMES = ("seconds", "images_per_second", "waiting")  # of a row: all that two trainings may differ in


class Told(Silent):
    """Writes what is said into a file, and counts steps where the parent sees it."""

    def __init__(self, path: Path, count: Any) -> None:
        self.path, self.count = path, count

    def advance(self, done: int, values: Any) -> None:
        if self.count is not None and "loss" in values:
            self.count.value += 1

    def say(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text + "\n")


def train(folder: Path, train: dict[str, Any], changes: dict[str, Any], every: float, count: Any = None) -> None:
    """Train to the end, from a snapshot where there is one; leaves `weights.safetensors` and `result.json`."""
    torch.set_num_threads(1)
    task = Tiny(override(recipe(**train), changes))
    fitted = fit(
        task,
        fresh(),
        task.data(("study", 0)),
        task.recipe,
        key=("study", 0),
        folder=folder,
        events=Told(folder / "said.txt", count),
        metric="accuracy",
        snapshots=Snapshots(folder / "snapshot.safetensors", "tiny", every),
    )
    save_weights(folder / "weights.safetensors", fitted.model)
    rows = [{name: value for name, value in row.items() if name not in TIMES} for row in fitted.curves]
    result = {"rows": rows, "hash": fitted.batch_hash, "epoch": fitted.epoch, "steps": fitted.steps}
    (folder / "result.json").write_text(json.dumps(result | {"notes": fitted.notes}))
