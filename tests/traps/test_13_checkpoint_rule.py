"""Trap 13: the best epoch is picked on the split that is reported."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import Accuracy, Tiny, fresh, recipe

from ablab.engine.fit import fit
from ablab.recipe import TrainRecipe


class Untouchable:
    """A test split that tells who reads it."""

    ids = ("a",)

    def __len__(self) -> int:
        raise AssertionError("training asked for the length of test")

    def __getitem__(self, key: tuple[int, int]) -> Any:
        raise AssertionError("training read test")


class Told(Accuracy):
    """Scores what it is told, one value a validation."""

    def __init__(self, told: list[float]) -> None:
        super().__init__()
        self.told = told

    def score(self, items: Any, settings: Any, weights: Any = None) -> dict[str, np.ndarray]:
        return {"accuracy": np.array([self.told.pop(0)])}


class Fixed(Tiny):
    def __init__(self, told: list[float], **train: Any) -> None:
        super().__init__(recipe(epochs=4, checkpoint="best_ema", validate_every=1) if not train else recipe(**train))
        self.told = list(told)

    def meter(self) -> Told:
        return Told(self.told)


KEY = ("study", 0)


def run(task: Tiny, direction: str = "max") -> Any:
    splits = replace(task.data(KEY), test=Untouchable())
    return fit(task, fresh(), splits, task.recipe, key=KEY, metric="accuracy", direction=direction)  # type: ignore[arg-type]


def test_the_default_is_the_last_average_whatever_validation_says() -> None:
    assert TrainRecipe().checkpoint == "last_ema"
    task = Fixed([0.9, 0.1, 0.1], epochs=3, validate_every=1)
    assert run(task).epoch == 3


@pytest.mark.parametrize(
    ("told", "direction", "best"),
    [
        ([0.1, 0.7, 0.3, 0.2], "max", 2),
        ([0.1, 0.7, 0.3, 0.2], "min", 1),
        ([0.4, 0.7, 0.7, 0.7], "max", 2),  # the earlier of equals
        ([float("nan"), 0.2, float("nan"), 0.1], "max", 2),
        ([float("nan")] * 4, "max", 1),
    ],
)
def test_best_is_chosen_on_validation_and_test_is_never_read(told: list[float], direction: str, best: int) -> None:
    fitted = run(Fixed(told), direction)
    assert fitted.epoch == best


def test_the_weights_are_those_of_the_best_epoch() -> None:
    """The best of four epochs is the second: the same weights as another run keeps whose others are worse still."""
    second = run(Fixed([0.1, 0.7, 0.3, 0.2])).model.state_dict()
    again = run(Fixed([0.6, 0.7, 0.0, 0.0])).model.state_dict()
    fourth = run(Fixed([0.1, 0.2, 0.3, 0.4])).model.state_dict()
    last = run(Fixed([], epochs=4)).model.state_dict()
    assert all(torch.equal(second[name], again[name]) for name in second)
    assert all(torch.equal(fourth[name], last[name]) for name in last)
    assert not all(torch.equal(second[name], fourth[name]) for name in second)
