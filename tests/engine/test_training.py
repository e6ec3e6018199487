"""Steps of several batches, clipping, frozen parameters, rates and early stopping, in whole small trainings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import Accuracy, Tiny, fresh, recipe
from torch import nn

from ablab.config import override
from ablab.contracts import Step
from ablab.engine import training
from ablab.engine.ema import EMA
from ablab.engine.fit import Fitted, fit
from ablab.errors import ConfigError, RunError
from ablab.recipe import Recipe

KEY = ("study", 0)
PLAIN = {"ema": None, "checkpoint": "last", "channels_last": False}


def normless() -> nn.Module:
    """Nothing in it looks at the other samples of a batch, and nothing draws."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, 2), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)
        ).double()


class Double(Tiny):
    """In float64, where rounding is far below any weight that is wrong."""

    def step(self, model: nn.Module, batch: dict[str, Any]) -> Step:
        loss = nn.functional.cross_entropy(model(batch["images"].double() / 255), batch["labels"])
        return Step(loss, {"entropy": loss.detach()})


def run(task: Tiny, model: nn.Module, **options: Any) -> Fitted:
    return fit(task, model, task.data(KEY), task.recipe, key=KEY, **options)


def sgd(given: Recipe, **changes: Any) -> Recipe:
    optimizer = {"name": "sgd", "lr": 0.5, "momentum": 0.9, "weight_decay": 0.01}
    return override(given, {"optimizer": optimizer, "schedule": {"name": "linear", "warmup": 0.3}, **changes})


@pytest.mark.parametrize(
    ("count", "whole", "batch", "accumulate", "steps"),
    [
        (32, 16, 4, 4, 2),  # all groups full
        (36, 16, 4, 4, 3),  # the last group is one batch
        (35, 16, 4, 4, 3),  # and that batch holds three
        (30, 16, 4, 4, 2),  # the last of four batches holds two: they do not weigh the same
        (31, 12, 4, 3, 3),  # the last group is two batches, one of them of three
    ],
)
def test_a_group_of_batches_is_one_large_batch(count: int, whole: int, batch: int, accumulate: int, steps: int) -> None:
    one = run(Double(sgd(recipe(batch=whole, epochs=3, **PLAIN)), count), normless())
    many = run(Double(sgd(recipe(batch=batch, accumulate=accumulate, epochs=3, **PLAIN)), count), normless())
    assert one.steps == many.steps == 3 * steps
    for a, b in zip(one.model.parameters(), many.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-13)
    for name in ("loss", "entropy", "gradient norm", "lr"):
        assert [row[name] for row in many.curves] == pytest.approx([row[name] for row in one.curves], rel=1e-6)


def test_accumulation_moves_a_network_of_its_own() -> None:
    """The test above would pass if nothing were trained at all."""
    one = run(Double(sgd(recipe(batch=4, **PLAIN)), 32), normless())
    many = run(Double(sgd(recipe(batch=4, accumulate=4, **PLAIN)), 32), normless())
    assert not torch.allclose(one.model[0].weight, many.model[0].weight, rtol=1e-3)
    assert not torch.allclose(many.model[0].weight, normless()[0].weight, rtol=1e-3)
    assert many.batch_hash == one.batch_hash


def test_the_average_counts_optimizer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Seen(EMA):
        def __init__(self, *options: Any) -> None:
            super().__init__(*options)
            made.append(self)

    monkeypatch.setattr(training, "EMA", Seen)
    fitted = run(Tiny(recipe(batch=4, accumulate=4, epochs=2), 36), fresh())
    assert made[0].step == fitted.steps == 6


def test_clipping_by_value_cuts_every_entry() -> None:
    """One step of plain SGD at rate 1: the move without clipping, cut entry by entry."""
    changes = {"optimizer": {"name": "sgd", "lr": 1.0, "momentum": 0, "weight_decay": 0}, "train.clip_norm": None}
    free = override(recipe(epochs=1, batch=32, **PLAIN), changes | {"schedule.warmup": 0})
    cut = override(free, {"train.clip_value": 0.01})
    start, whole, held = (dict(normless().named_parameters()), *(run(Double(g, 32), normless()) for g in (free, cut)))
    moves = {name: whole.model.get_parameter(name) - parameter for name, parameter in start.items()}
    sizes = torch.cat([move.abs().flatten() for move in moves.values()])
    assert (sizes > 0.01).any()
    assert (sizes < 0.01).any()
    for name, parameter in start.items():
        expected = parameter + moves[name].clamp(-0.01, 0.01)
        torch.testing.assert_close(held.model.get_parameter(name), expected, rtol=1e-9, atol=1e-12, msg=name)
    assert held.curves[0]["gradient norm"] == pytest.approx(whole.curves[0]["gradient norm"])  # before clipping


def test_rates_multiply_the_learning_rate() -> None:
    changes = {"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0, "weight_decay": 0}, "schedule.warmup": 0}
    given = override(recipe(epochs=1, batch=32, **PLAIN), changes)
    slow = override(given, {"optimizer.rates": {"0.*": 0.5, "*.bias": 0.0}})
    start, full, half = normless(), run(Double(given, 32), normless()).model, run(Double(slow, 32), normless()).model
    ratio = {"0.weight": 0.5, "0.bias": 0.5, "4.weight": 1.0, "4.bias": 0.0}  # the first glob that matches counts
    for name, parameter in start.named_parameters():
        expected = parameter + ratio[name] * (full.get_parameter(name) - parameter)
        torch.testing.assert_close(half.get_parameter(name), expected, rtol=1e-9, atol=1e-12, msg=name)


def test_what_is_frozen_does_not_move_and_then_does() -> None:
    frozen = recipe(epochs=2, freeze=["0.*", "1.*", "3.*"], **PLAIN)
    start, model = fresh().state_dict(), run(Tiny(frozen), fresh()).model
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, start[name])}
    assert moved == {"4.weight", "8.weight", "8.bias"}
    assert all(p.requires_grad for p in model.parameters())

    later = run(Tiny(override(frozen, {"train.unfreeze": {2: ["1.*"]}})), fresh()).model
    moved = {name for name, value in later.state_dict().items() if not torch.equal(value, start[name])}
    norm = {"1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert moved == {"4.weight", "8.weight", "8.bias"} | norm
    assert later[1].num_batches_tracked == 5  # the second epoch's


@pytest.mark.parametrize("changes", [{"freeze": ["nothing.*"]}, {"freeze": ["0.*"], "unfreeze": {2: ["8.*"]}}])
def test_a_glob_that_does_nothing_is_refused_before_training(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"train\.(un)?freeze"):
        run(Tiny(recipe(**changes)), fresh())


class Told(Tiny):
    """Validation says what it is told."""

    def __init__(self, given: Recipe, told: list[float]) -> None:
        super().__init__(given)
        self.told = list(told)

    def meter(self) -> Accuracy:
        told = self.told

        class Meter(Accuracy):
            def score(self, items: Any, settings: Any, weights: Any = None) -> dict[str, np.ndarray]:
                return {"accuracy": np.array([told.pop(0)])}

        return Meter()


@pytest.mark.parametrize(("checkpoint", "epoch"), [("last_ema", 8), ("best_ema", 4)])
def test_early_stopping_ends_the_training_and_the_rule_decides_the_weights(checkpoint: str, epoch: int) -> None:
    stopping = {"patience": 2, "least": 0.0}
    given = recipe(epochs=20, validate_every=2, early_stopping=stopping, checkpoint=checkpoint)
    fitted = run(Told(given, [0.1, 0.5, 0.4, 0.3]), fresh(), metric="accuracy")
    assert len(fitted.curves) == 8
    assert fitted.epoch == epoch
    assert fitted.notes == ("stopped after epoch 8: accuracy was not better than the 0.5 of epoch 4 in 2 validations",)


def test_a_training_that_ends_by_itself_says_nothing() -> None:
    given = recipe(epochs=2, validate_every=1, early_stopping={"patience": 1})
    assert run(Told(given, [0.5, 0.5]), fresh(), metric="accuracy").notes == ()


def test_early_stopping_wants_a_metric() -> None:
    with pytest.raises(ConfigError, match="expected the metric"):
        run(Tiny(recipe(validate_every=1, early_stopping={})), fresh())


def test_a_sampling_says_which_samples_make_an_epoch() -> None:
    class First:
        """The first samples only, each twice."""

        def __len__(self) -> int:
            return 12

        def draw(self, rng: np.random.Generator) -> np.ndarray:
            return rng.permutation(np.repeat(np.arange(6), 2))

    task = Tiny(recipe(epochs=2, workers=0))
    splits = replace(task.data(KEY), sampling=First())
    fitted = fit(task, fresh(), splits, task.recipe, key=KEY)
    asked = splits.train.asked
    assert fitted.steps == 4
    assert {index for _, index in asked} == set(range(6))
    for epoch in (0, 1):
        mine = [index for at, index in asked if at == epoch]
        assert sorted(mine) == sorted([*range(6), *range(6)])
        assert mine != sorted(mine)


class Large(Tiny):
    def step(self, model: nn.Module, batch: dict[str, Any]) -> Step:
        torch.empty(1 << 60, dtype=torch.uint8)
        return super().step(model, batch)


def test_out_of_memory_is_said_in_words_that_help() -> None:
    with pytest.raises(RunError, match=r"lower train\.batch and raise train\.accumulate"):
        run(Large(recipe()), fresh())


def test_curves_tell_the_speed_of_the_whole_loop() -> None:
    fitted = run(Tiny(recipe(epochs=2)), fresh())
    for row in fitted.curves:
        assert row["images_per_second"] == pytest.approx(36 / row["seconds"])
    assert fitted.images_per_second == pytest.approx(72 / fitted.seconds)
