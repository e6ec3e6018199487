"""Trap 19: an added module changes how many pretrained weights load (210 of 373 against 355 of 355)."""

from __future__ import annotations

from pathlib import Path

from ablab.records import RunKey, RunRecord
from ablab.study import spec
from ablab.study.design import arms
from ablab.study.judge import warnings

STUDY = spec.build(
    {
        "name": "s",
        "baseline": {"task": "detection"},
        "changes": [
            {"name": name, "edits": [{"op": "insert", "after": "backbone.out", "part": name}]}
            for name in ("cbam", "se")
        ],
    },
    "s.yaml",
    Path.cwd(),
)


def record(arm: str, seed: int, share: float) -> RunRecord:
    return RunRecord(RunKey("s", arm, seed, "f" * 16), "done", batch_hash="same", weights_loaded=share)


def test_an_arm_that_loaded_less_is_named() -> None:
    records = [record("baseline", 0, 355 / 355), record("cbam", 0, 210 / 373), record("se", 0, 1.0)]
    said = warnings(arms(STUDY), records)
    assert said == ["cbam loaded another share of the pretrained weights than the baseline (seeds 0)"]


def test_equal_shares_are_no_warning() -> None:
    assert warnings(arms(STUDY), [record(arm, 0, 0.9) for arm in ("baseline", "cbam", "se")]) == []
