"""How long a training waited for its data: measured by the loop, in every epoch's row."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import Images, Tiny, fresh, recipe

from ablab.contracts import Splits
from ablab.engine.fit import Fitted, fit
from ablab.records import read_history


class Sleeping(Images):
    """Samples that a slow disk gives: 10 ms each, far more than the tiny network computes on one."""

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        time.sleep(0.01)
        return super().__getitem__(key)


class Slow(Tiny):
    def data(self, key: tuple[str | int, ...]) -> Splits:
        return replace(super().data(key), train=Sleeping("train", self.count, key))


def run(task: Tiny, folder: Path | None = None) -> Fitted:
    return fit(task, fresh(), task.data(("s", 0)), task.recipe, key=("s", 0), folder=folder)


def test_a_slow_sample_set_shows_as_waiting(tmp_path: Path) -> None:
    fitted = run(Slow(recipe(epochs=2)), tmp_path)
    for row in fitted.curves:
        assert 0.5 * row["seconds"] < row["waiting"] <= row["seconds"]
    assert fitted.waiting == pytest.approx(sum(row["waiting"] for row in fitted.curves))
    assert read_history(tmp_path / "curves.csv")["waiting"] == pytest.approx(
        [row["waiting"] for row in fitted.curves], rel=1e-5
    )


def test_each_epoch_counts_its_own_waiting() -> None:
    """The sum over epochs stays below the sum of their seconds: nothing is counted twice."""
    fitted = run(Slow(recipe(epochs=3)))
    assert fitted.waiting < fitted.seconds
