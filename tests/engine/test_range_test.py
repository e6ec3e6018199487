"""The range test against what is known of gradient descent on a quadratic, and on the tiny task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tiny import Tiny, fresh, recipe
from torch import nn

from ablab.contracts import Step
from ablab.engine.range_test import RangeTest, range_test, read
from ablab.errors import ConfigError
from ablab.recipe import OptimizerRecipe, Recipe


class Bowl(nn.Module):
    """Weights far from the minimum of curvature * |w|^2 / 2."""

    def __init__(self, curvature: float) -> None:
        super().__init__()
        self.curvature = curvature
        self.weight = nn.Parameter(torch.full((4,), 3.0))

    def forward(self) -> torch.Tensor:
        return self.curvature * self.weight.square().sum() / 2


class Quadratic(Tiny):
    """No batch matters, so the loss has no noise."""

    def step(self, model: nn.Module, batch: dict[str, Any]) -> Step:
        return Step(model(), {})


def descent(momentum: float | None) -> Recipe:
    optimizer = OptimizerRecipe(name="sgd", momentum=momentum, weight_decay=0)
    return recipe(clip_norm=None).model_copy(update={"optimizer": optimizer})


def tried(task: Tiny, model: nn.Module, given: Recipe, **settings: Any) -> RangeTest:
    return range_test(task, model, task.data(("s", 0)), given, key=("s", 0), **settings)


@pytest.mark.parametrize("curvature", [0.5, 10.0, 400.0])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_quadratic_breaks_away_at_its_stable_limit(curvature: float, momentum: float) -> None:
    """Gradient descent with momentum b on curvature L is stable below 2 (1 + b) / L (Polyak 1964).

    With momentum the loss swings, and its swings grow visible somewhat before that.
    """
    given = descent(momentum)
    limit = 2 * (1 + momentum) / curvature
    found = tried(Quadratic(given), Bowl(curvature), given, low=limit / 1000, high=limit * 1000)
    assert found.largest is not None
    assert found.steepest is not None
    assert found.broke is not None
    assert limit / 3 < found.largest < limit * 1.6
    assert limit < found.broke < limit * 10
    assert found.steepest < found.largest


def test_the_network_and_torchs_generator_stay_as_they_are() -> None:
    task, model = Tiny(recipe()), fresh()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tried(task, model, recipe(), steps=20)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_equal_keys_give_equal_losses_whatever_was_drawn_before() -> None:
    task = Tiny(recipe())
    first = tried(task, fresh(), recipe(), steps=30)
    torch.rand(7)
    assert tried(task, fresh(), recipe(), steps=30) == first
    other = range_test(task, fresh(), task.data(("s", 1)), recipe(), key=("s", 1), steps=30)
    assert other.losses != first.losses


def test_the_tiny_task_has_a_usable_range_and_an_end() -> None:
    task = Tiny(recipe(), count=64)
    found = tried(task, fresh(), recipe(), high=100.0)
    assert found.steepest is not None
    assert found.largest is not None
    assert 1e-4 < found.steepest < found.largest < 10
    assert len(found.rates) == len(found.losses) == len(found.smoothed)
    assert found.rates[0] == pytest.approx(1e-6)


def test_the_recipes_averages_schedule_and_accumulation_do_not_disturb() -> None:
    given = recipe(accumulate=2, validate_every=1, checkpoint="best_ema", freeze=["0.*"], unfreeze={2: ["*"]})
    found = tried(Tiny(given), fresh(), given, steps=20)
    assert len(found.losses) == 20


def test_a_loss_that_is_not_finite_ends_the_test() -> None:
    given = descent(0.0)
    found = tried(Quadratic(given), Bowl(10.0), given, low=1e-6, high=1e30, steps=30)
    assert found.broke is not None
    assert all(np.isfinite(found.losses))


@pytest.mark.parametrize(("steps", "low", "high"), [(19, 1e-6, 1.0), (50, 0.0, 1.0), (50, 1.0, 1.0), (50, 1.0, 0.1)])
def test_a_range_that_does_not_grow_is_refused(steps: int, low: float, high: float) -> None:
    with pytest.raises(ConfigError, match="range test"):
        tried(Tiny(recipe()), fresh(), recipe(), steps=steps, low=low, high=high)


def curve(rates: np.ndarray, noise: float, seed: int = 0) -> np.ndarray:
    """2 falling to 1 along a logistic in log10 rate with its middle at 1e-3, rising beyond 1e-1."""
    log = np.log10(rates)
    clean = 1 + 1 / (1 + np.exp(4 * (log + 3))) + 3 * np.maximum(0, log + 1)
    return clean + noise * np.random.default_rng(seed).standard_normal(len(rates))


@pytest.mark.parametrize("seed", range(5))
def test_the_middle_of_a_logistic_fall_is_the_steepest(seed: int) -> None:
    rates = np.geomspace(1e-6, 1, 100)
    found = read(rates, curve(rates, 0.01, seed), None)
    assert found.steepest == pytest.approx(1e-3, rel=0.6)
    assert found.largest is not None
    assert 0.01 < found.largest < 0.2


@pytest.mark.parametrize("seed", range(10))
def test_noise_alone_suggests_nothing(seed: int) -> None:
    rates = np.geomspace(1e-6, 1, 100)
    found = read(rates, 2 + 0.1 * np.random.default_rng(seed).standard_normal(100), None)
    assert (found.steepest, found.largest) == (None, None)
    assert "never fell clearly" in found.reasons[0]


def test_a_test_that_broke_at_once_suggests_nothing() -> None:
    found = read(np.geomspace(1, 2, 5), np.array([1.0, 2, 3, 4, 5]), 2.0)
    assert found.largest is None
    assert "begin at a lower rate" in found.reasons[0]
