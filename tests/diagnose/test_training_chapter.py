"""The chapter as the page gets it: plain JSON, ranked findings, and notes of what was not read."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny import recipe

from ablab.diagnose.training import read_training
from ablab.diagnose.training.trial import judge_trial
from ablab.engine.range_test import read
from ablab.records import RunKey, RunRecord, plain_json

KEY = RunKey("s", "a", 0, "0" * 16)
DONE = RunRecord(KEY, "done")
RATES = 1e-6 * 1e5 ** (np.arange(100) / 99)
SLOPE = read(RATES, 3 - 1 / (1 + np.exp(-6 * np.log10(RATES / 1e-3))), None)
LOSSES = (1 + 2 * np.exp(-np.arange(12) / 1.5)).tolist()
HISTORY = {"epoch": [*map(float, range(1, 13))], "lr": [1e-3] * 12, "loss": LOSSES}


def test_a_sound_training_has_numbers_and_no_finding() -> None:
    trial = judge_trial(2e-3, np.linspace(3, 1, 100).tolist(), np.linspace(3, 2.5, 100).tolist(), False)
    chapter = read_training(HISTORY, DONE, recipe(), "AP", "max", SLOPE, None, trial)
    assert chapter.name == "training"
    assert chapter.findings == ()
    numbers = json.loads(json.dumps(plain_json(chapter.numbers), allow_nan=False))
    assert set(numbers) == {"metric", "direction", "rate", "history", "range", "trial", "readings"}
    assert len(numbers["range"]["rates"]) == len(numbers["range"]["smoothed"]) == 100
    assert numbers["trial"]["share"] == pytest.approx(4, rel=0.1)
    assert numbers["readings"]["curves"]["loss"]["values"] == 12
    assert numbers["readings"]["reached"] == pytest.approx(2e-3, rel=1)
    assert any("overfitting was not looked for" in note for note in chapter.notes)


def test_what_was_not_read_is_null_and_noted() -> None:
    chapter = read_training({}, DONE, recipe(), "AP", "max", None, {"a": {0: 0.5}})
    assert chapter.numbers["range"] is chapter.numbers["trial"] is chapter.numbers["readings"]["seeds"] is None
    assert len(chapter.notes) == 3
    assert chapter.findings == ()


def test_the_worst_finding_comes_first() -> None:
    waiting = {"seconds": [10.0] * 12, "waiting": [5.0] * 12}
    diverged = RunRecord(KEY, "diverged")
    study = {"a": {0: 0.1, 1: 0.5}, "b": {0: 0.1, 1: 0.6}}
    chapter = read_training(HISTORY | waiting, diverged, recipe(), "AP", "max", None, study)
    assert [each.fault for each in chapter.findings] == ["learning rate too high", "seeds over arms", "loader-bound"]


def test_seeds_that_differ_less_than_arms_are_no_finding() -> None:
    study = {"a": {0: 0.10, 1: 0.11}, "b": {0: 0.50, 1: 0.52}}
    assert read_training(HISTORY, DONE, recipe(), "AP", "max", None, study).findings == ()
