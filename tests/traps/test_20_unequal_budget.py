"""Trap 20: a variant with another starting point or budget is compared as if it had the same."""

from __future__ import annotations

from pathlib import Path

from ablab.study import spec
from ablab.study.design import arms, run_fingerprint


def test_a_longer_training_shows_in_the_diff_and_names_another_run() -> None:
    data = {
        "name": "s",
        "baseline": {"task": "detection", "train": {"epochs": 30}},
        "changes": [
            {
                "name": "hardswish",
                "set": {"train.epochs": 60},
                "edits": [{"op": "replace", "of": "silu", "part": "hardswish"}],
            }
        ],
    }
    baseline, arm = arms(spec.build(data, "s.yaml", Path.cwd()))
    assert arm.differences == ("train.epochs: 30 -> 60", "replace silu by hardswish")
    assert run_fingerprint(arm, 0, "m", "", "1") != run_fingerprint(baseline, 0, "m", "", "1")
