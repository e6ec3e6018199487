"""The learning rate: hand-made range tests and trials, and a real trial on the tiny task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import Tiny, fresh, recipe

from ablab.diagnose.training.curves import read_curves
from ablab.diagnose.training.rate import rate_findings, reached
from ablab.diagnose.training.trial import FEWEST, Trial, judge_trial, try_tenth
from ablab.engine.range_test import RangeTest, read
from ablab.findings import Finding
from ablab.recipe import OptimizerRecipe, Recipe

RATES = 1e-6 * 1e6 ** (np.arange(100) / 99)


def at(rate: float, name: str = "adamw") -> Recipe:
    return recipe().model_copy(update={"optimizer": OptimizerRecipe(name=name, lr=rate)})


def fell(knee: float = 0.01, width: float = 0.5) -> RangeTest:
    """A range test whose loss falls from 3 to 2, half of it `width` decades below `knee`, and rises from 0.3 on."""
    away = np.log10(RATES / knee) + width
    losses = 3 - 1 / (1 + np.exp(-6 * away)) + 4 * np.clip(np.log10(RATES / 0.3), 0, None)
    return read(RATES, losses + np.random.default_rng(0).normal(0, 0.005, 100), None)


def trial(rate: float, share: float, noise: float = 0.01) -> Trial:
    """Of 150 steps, in which the tenth falls from 3 to 2 and the rate by `share`."""
    rng = np.random.default_rng(0)
    fall = np.clip(np.arange(150) / 100 - 0.15, 0, 1)
    return judge_trial(rate, (3 - share * fall + rng.normal(0, noise, 150)).tolist(), (3 - fall).tolist(), False)


def findings(rate: float, rates: RangeTest | None = None, short: Trial | None = None) -> list[Finding]:
    return [*rate_findings(at(rate), read_curves({}, "AP"), rates, short, False)]


def test_where_the_fall_was_reached() -> None:
    """The logistic has 90% of its fall 0.37 decades past its middle; smoothing spreads it by 0.18 decades."""
    found = reached(fell(0.01, 0.5))
    assert found is not None
    assert np.log10(found / 0.01) == pytest.approx(-0.5 + np.log(9) / 6, abs=0.2)
    assert reached(None) is None
    assert reached(replace(fell(), steepest=None, largest=None)) is None


@pytest.mark.parametrize(("share", "high"), [(0.72, True), (0.9, True), (1.1, False), (3.0, False)])
def test_a_rate_that_learns_less_than_its_tenth_is_too_high(share: float, high: bool) -> None:
    found = findings(0.003, fell(), trial(0.003, share))
    assert [each.fault for each in found] == (["learning rate too high"] if high else [])
    if high:
        assert found[0].severity == pytest.approx(0.97 - 0.05 * share, abs=0.005)
        assert dict(found[0].evidence)["share of a tenth's fall"] == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(("rate", "share", "high"), [(0.03, 0.97, True), (0.03, 1.2, True), (0.03, 1.5, False)])
def test_beyond_the_range_tests_fall_no_lead_is_too_little(rate: float, share: float, high: bool) -> None:
    assert bool(findings(rate, fell(), trial(rate, share))) == high
    assert not findings(rate / 10, fell(), trial(rate / 10, share if share > 1 else 1.0))  # before the fall was reached
    assert not findings(rate, None, trial(rate, 1.0))


@given(st.floats(0.002, 0.02), st.floats(1.4, 5))
def test_a_sound_rate_raises_nothing(rate: float, share: float) -> None:
    assert not findings(rate, fell(), trial(rate, share, 0.02))


def test_noise_is_no_evidence() -> None:
    """Where the two end alike but for noise, nothing is said."""
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        tenth = 3 - 0.2 * np.clip(np.arange(150) / 100, 0, 1) + rng.normal(0, 0.3, 150)
        found = judge_trial(0.003, (tenth + rng.normal(0, 0.05, 150)).tolist(), tenth.tolist(), False)
        alarms += bool(findings(0.003, fell(), found))
    assert alarms <= 10  # 2.5% of 200, doubled


def test_a_loss_that_broke_away_is_too_high_for_certain() -> None:
    broken = judge_trial(1.0, [3.0] * 20 + [20.0], np.linspace(3, 2, 150).tolist(), True)
    assert findings(1.0, None, broken)[0].severity == 0.97
    assert findings(0.5, replace(fell(), broke=0.4))[0].severity == 0.97
    assert not findings(0.01, replace(fell(), broke=0.4))


def test_a_tenth_that_broke_away_too() -> None:
    assert findings(5.0, None, judge_trial(5.0, [3.0, 90.0], [3.0, 4.0, 50.0], True))[0].severity == 0.97


def test_a_tenth_that_never_fell_says_nothing() -> None:
    assert not findings(0.03, fell(), judge_trial(0.03, [3.0] * 100, [3.0] * 100, False))


def test_without_a_trial_only_rates_far_above_the_largest() -> None:
    test = replace(fell(), largest=0.02)
    (found,) = findings(0.1, test)
    assert (found.fault, found.severity) == ("learning rate too high", 0.92)
    assert not findings(0.05, test)
    assert not findings(0.1)


def test_a_rate_far_below_the_largest_is_too_low() -> None:
    test = replace(fell(), largest=0.1)
    (found,) = findings(1e-4, test)
    assert (found.fault, found.severity) == ("learning rate too low", pytest.approx(0.7 * 0.75))
    assert not findings(2e-3, test)


def test_a_loss_that_falls_in_a_line_may_want_a_higher_rate() -> None:
    line = {"epoch": [*map(float, range(1, 13))], "loss": np.linspace(3, 2, 12).tolist()}
    (found,) = rate_findings(at(1e-5), read_curves(line, "AP"), None, None, False)
    assert found.fault == "learning rate too low"


def test_a_spike_speaks_where_no_trial_does() -> None:
    read_ = read_curves({"epoch": [1, 2, 3], "loss": [3.0, 2.0, 3.5]}, "AP")
    (found,) = rate_findings(at(0.003), read_, None, None, False)
    assert found.fault == "learning rate too high"
    assert found.severity <= 0.7
    assert not rate_findings(at(0.003), read_, None, trial(0.003, 3.0), False)


def test_a_run_that_diverged() -> None:
    (found,) = rate_findings(at(0.003), read_curves({}, "AP"), None, None, True)
    assert (found.fault, found.severity) == ("learning rate too high", 1.0)


def tried(rate: float, epochs: int, name: str = "sgd") -> Trial | None:
    given = recipe(epochs=epochs).model_copy(update={"optimizer": OptimizerRecipe(name=name, lr=rate)})
    task = Tiny(given)
    return try_tenth(task, fresh(), task.data(("s", 0)), given, key=("s", 0))


def test_a_trial_on_the_tiny_task() -> None:
    high, sound = tried(3.0, 60), tried(0.03, 60)
    assert high is not None
    assert sound is not None
    assert len(high.lower_losses) >= FEWEST
    assert [each.fault for each in findings(3.0, None, high)] == ["learning rate too high"]
    assert not findings(0.03, None, sound)
    again = tried(0.03, 60)
    assert again == sound


def test_a_training_of_few_steps_has_no_trial() -> None:
    assert tried(0.01, 2) is None
