"""Studies whose runs are records alone: what is trained, judged and written is ours, the training is feigned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ablab import records
from ablab.records import RunKey, RunRecord, write_record
from ablab.study import confirm, run, store
from ablab.study.design import Arm
from ablab.study.spec import Study

Score = Callable[[str, int], float | None]  # of an arm under a seed; None fails


class Killed(BaseException):
    """What ends a driver at any moment; no `except Exception` catches it."""


class Feigned:
    """Runs that score what `score` says, and a driver that is killed before its `dies` th run."""

    def __init__(self, score: Score) -> None:
        self.score, self.dies, self.trained = score, -1, list[tuple[str, int]]()

    def train(self, study: Study, folder: Path, wanted: Sequence[tuple[Arm, RunKey]], *_: Any) -> None:
        """In place of `run.train_missing`."""
        done = store.finished(folder, [key for _, key in wanted])
        for _, key in wanted:
            if key in done and done[key].status == "done":
                continue
            if len(self.trained) == self.dies:
                raise Killed
            self.trained.append((key.arm, key.seed))
            write_record(folder, self.record(key))

    def record(self, key: RunKey) -> RunRecord:
        """A run's record under the feigned score."""
        value = self.score(key.arm, key.seed)
        if value is None:
            return RunRecord(key, "failed", error="out of memory")
        return RunRecord(key, "done", scores={"validation": {"AP50": value}}, batch_hash=f"{key.seed}")


def feign(monkeypatch: pytest.MonkeyPatch, score: Score) -> Feigned:
    """Have `run.run` and `confirm.confirm` train by `score`, without a plan and without closing."""
    made = Feigned(score)

    def manifests(arms: Sequence[Arm], *_: Any) -> dict[str, str]:
        return {arm.name: "-" for arm in arms}

    def plan(study: Study, *_: Any) -> dict[str, Any]:
        return {"asked": {"data": manifests(run.arms(study))}, "plugins": ""}

    monkeypatch.setattr(run, "train_missing", made.train)
    monkeypatch.setattr(run, "_plan", plan)
    monkeypatch.setattr(run, "_close", lambda *_: None)
    monkeypatch.setattr(confirm, "train_missing", made.train)
    monkeypatch.setattr(confirm, "manifests", manifests)
    return made


def seeds_of(folder: Path, arm: str) -> list[int]:
    """The seeds under which an arm has a finished run."""
    found = records.read_records(folder)
    return sorted(record.key.seed for record in found if record.key.arm == arm and record.status == "done")
