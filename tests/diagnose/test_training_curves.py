"""Curves with known faults, and healthy ones, which raise nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablab.diagnose.training.course import course
from ablab.diagnose.training.curves import curve_findings, read_curves

History = dict[str, list[float]]


def history(loss: np.ndarray, **columns: Any) -> History:
    """A curves.csv of that loss (E,), in two terms of it, with a loader that keeps up."""
    epochs = np.arange(1, len(loss) + 1)
    made = {"epoch": epochs, "lr": np.linspace(1e-3, 1e-5, len(loss)), "loss": loss}
    made |= {"box": 0.4 * loss, "classification": 0.6 * loss, "gradient norm": np.ones(len(loss))}
    made |= {"seconds": np.full(len(loss), 10.0), "waiting": np.full(len(loss), 0.2)} | columns
    return {name: np.asarray(values, float).tolist() for name, values in made.items()}


def approach(epochs: int, rate: float, seed: int, noise: float = 0.004, floor: float = 1.0) -> np.ndarray:
    """floor + 2 exp(-t), t up to `rate`, with noise in units of the fall."""
    rng = np.random.default_rng(seed)
    return floor + 2 * np.exp(-rate * np.arange(epochs) / (epochs - 1)) + rng.normal(0, 2 * noise, epochs)


def metric(epochs: int, seed: int, rate: float = 6.0) -> np.ndarray:
    rng = np.random.default_rng(seed + 1)
    return 0.5 * (1 - np.exp(-rate * np.arange(1, epochs + 1) / epochs)) + rng.normal(0, 0.003, epochs)


def faults(given: History) -> set[str]:
    return {finding.fault for finding in curve_findings(read_curves(given, "AP"))}


@settings(max_examples=60, deadline=None)
@given(st.integers(9, 60), st.floats(6, 9), st.integers(0, 10**6))
def test_a_healthy_training_raises_nothing(epochs: int, rate: float, seed: int) -> None:
    assert faults(history(approach(epochs, rate, seed))) == set()
    followed = {"validation/AP": metric(epochs, seed, 8.0)}
    assert faults(history(approach(epochs, rate, seed), **followed)) <= {"too short"}  # one in forty by its t test


def test_healthy_metrics_seldom_read_as_too_short_or_overfit() -> None:
    """The t test's level is 0.05 two-sided, and the pace has to be there too."""
    alarms = [faults(history(approach(24, 7, seed), **{"validation/AP": metric(24, seed, 8.0)})) for seed in range(300)]
    assert np.mean([bool(each) for each in alarms]) < 0.03


@settings(max_examples=60, deadline=None)
@given(st.integers(5, 60), st.floats(0.2, 1.6), st.integers(0, 10**6))
def test_a_training_that_ends_midway_is_too_short(epochs: int, rate: float, seed: int) -> None:
    assert "too short" in faults(history(approach(epochs, rate, seed, noise=0.0005)))


def test_five_epochs_of_photo_digits_are_too_short() -> None:
    """The clean training of benchmarks/planted, seed 100: AP 0.39, and 0.5 with more epochs."""
    assert faults(history(np.array([2.49052, 1.90153, 1.63109, 1.48163, 1.3757]))) == {"too short"}


@pytest.mark.parametrize("left", [1, 2, 3, 4, 5])
def test_a_jump_in_the_last_quarter_is_no_progress(left: int) -> None:
    """As where mosaic ends `left` epochs before the end: the images are easier, the network is no better."""
    for seed in range(20):
        loss = approach(24, 7, seed)
        loss[-left:] -= 0.4
        assert faults(history(loss)) == set()


def test_overfitting_is_a_metric_that_was_better_while_the_loss_falls() -> None:
    for seed in range(50):
        followed = metric(24, seed, 12.0)
        followed[10:] -= np.linspace(0, 0.1, 14)
        loss = approach(24, 6, seed, noise=0)
        read = read_curves(history(loss, **{"validation/AP": followed}), "AP")
        (found,) = curve_findings(read)
        assert found.fault == "overfitting"
        assert found.severity <= 0.7
        assert 5 <= dict(found.evidence)["best epoch"] <= 16
        assert curve_findings(read_curves(history(loss, **{"validation/AP": -followed}), "AP", "min"))
    assert "overfitting" not in faults(history(loss[::-1] + 0.1, **{"validation/AP": followed}))  # nothing was fitted


def test_gaps_in_a_metric_are_left_out() -> None:
    followed = metric(30, 0)
    followed[1::2] = np.nan
    read = read_curves(history(approach(30, 6, 0), **{"validation/AP": followed}), "AP")
    assert read.metric is not None
    assert read.metric.values == 15


def test_underfitting_is_a_loss_that_settled_high() -> None:
    """Digits of seven pixels: benchmarks/planted, too small, seed 100."""
    assert faults(history(np.array([5.45064, 4.76108, 4.77766, 4.76845, 4.76309]))) == {"underfitting"}


def test_a_spike_is_measured_by_the_first_loss() -> None:
    """A wiggle late in a training, where the loss is small, is none, whatever its ratio."""
    loss = np.array([10, 5, 2, 1, 0.1, 0.05, 0.3, 0.05])
    assert read_curves(history(loss), "AP").rise == pytest.approx(0.025)
    assert read_curves(history(np.array([4.0, 2, 5, 2])), "AP").rise == pytest.approx(0.75)
    assert read_curves(history(np.array([-1.0, -2])), "AP").rise is None


def test_waiting_from_the_second_epoch_on() -> None:
    loss = approach(24, 6, 0)
    first = np.full(24, 0.1)
    first[0] = 9.9  # it fills the cache
    assert faults(history(loss, waiting=first)) == set()
    (found,) = curve_findings(read_curves(history(loss, waiting=np.full(24, 6.0)), "AP"))
    assert (found.fault, found.severity) == ("loader-bound", pytest.approx(0.3))


def test_a_term_that_is_all_or_nothing() -> None:
    loss = approach(24, 6, 0)
    assert faults(history(loss, box=0.002 * loss)) == {"unbalanced losses"}
    assert faults(history(loss, box=0.97 * loss, classification=0.01 * loss)) == {"unbalanced losses"}
    assert faults(history(loss, box=0.02 * loss)) == {"unbalanced losses"}  # 3% of the sum: the other has 97%
    assert faults(history(loss, box=0.1 * loss)) == set()


@pytest.mark.parametrize("epochs", [0, 1, 2, 3])
def test_too_few_epochs_say_nothing(epochs: int) -> None:
    assert faults(history(np.ones(epochs))) == set()
    assert faults({}) == set()


def test_the_course_of_a_line_and_of_a_constant() -> None:
    line = course(range(12), [2 * at for at in range(12)], "max")
    assert line is not None
    assert line.pace == pytest.approx(1)
    assert line.late.slope == pytest.approx(2)
    assert line.lost == 0
    flat = course(range(12), [1.0] * 12, "min")
    assert flat is not None
    assert not flat.late.rises
    assert not flat.late.falls


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=40))
def test_any_finite_curve_can_be_read(values: list[float]) -> None:
    for finding in curve_findings(read_curves(history(np.array(values), **{"validation/AP": values}), "AP")):
        assert finding.severity <= 0.7
