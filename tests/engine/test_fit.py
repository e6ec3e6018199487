import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import Accuracy, Images, Tiny, fresh, recipe
from torch import nn

from ablab.config import override
from ablab.contracts import Splits, Step
from ablab.engine.evaluate import evaluate, score
from ablab.engine.events import Silent
from ablab.engine.fit import Fitted, fit
from ablab.errors import ConfigError, DataError, Diverged, UnknownName


def train(task: Tiny | None = None, model: nn.Module | None = None, seed: int = 0, **options: Any) -> Fitted:
    task = task or Tiny(recipe())
    key = ("study", seed)
    return fit(task, model or fresh(), task.data(key), task.recipe, key=key, **options)


def same(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_it_learns() -> None:
    given = override(recipe(epochs=12, ema={"decay": 0.9, "tau": 5}), {"optimizer.lr": 0.02})
    task = Tiny(given)
    model = fresh()
    splits = task.data(("study", 0))
    before = score(task, evaluate(task, model, splits.validation, given))["accuracy"]
    fitted = train(task, model)
    after = score(task, evaluate(task, fitted.model, splits.validation, given))["accuracy"]
    assert before < 0.6
    assert after > 0.9
    assert fitted.curves[-1]["loss"] < fitted.curves[0]["loss"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_weights_are_equal_to_the_bit_with_0_and_with_2_workers(precision: str) -> None:
    runs = [train(Tiny(recipe(precision=precision, workers=workers))) for workers in (0, 0, 2)]
    assert same(runs[0].model, runs[1].model)
    assert same(runs[0].model, runs[2].model)
    assert len({run.batch_hash for run in runs}) == 1
    assert not same(runs[0].model, train(Tiny(recipe(precision=precision)), seed=1).model)


def test_first_epoch_by_hand() -> None:
    """The loop against torch's plainest one: no EMA, no clipping that bites, SGD without momentum."""
    given = override(
        recipe(epochs=1, ema=None, checkpoint="last", clip_norm=None, channels_last=False),
        {"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0, "weight_decay": 0.01}, "schedule.name": "constant"}
        | {"schedule.warmup": 0},
    )
    task = Tiny(given, count=24)

    def without_dropout() -> nn.Sequential:
        model = fresh()
        model[5].p = 0.0
        return model

    fitted = train(task, without_dropout())
    samples = task.data(("study", 0)).train
    from ablab.streams import stream

    order = stream("order", "study", 0, 0).permutation(24).tolist()
    model, losses = without_dropout().train(), []
    for at in (0, 8, 16):
        batch = task.collate([samples[0, i] for i in order[at : at + 8]])
        loss = task.step(model, batch).loss
        grads = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for weight, grad in zip(model.parameters(), grads, strict=True):
                weight -= 0.1 * (grad + (0.01 * weight if weight.dim() > 1 else 0))
        losses.append(loss.item())
    for (name, ours), plain in zip(fitted.model.state_dict().items(), model.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6, msg=name)
    assert fitted.curves[0]["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert fitted.steps == 3


def test_curves_are_one_row_an_epoch_with_validation_where_asked(tmp_path: Path) -> None:
    given = override(recipe(epochs=5, validate_every=2), {"schedule.warmup": 0, "schedule.final": 0.5})
    fitted = train(Tiny(given), folder=tmp_path)
    with (tmp_path / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [bool(row["validation/accuracy"]) for row in rows] == [False, True, False, True, True]
    assert float(rows[-1]["lr"]) == pytest.approx(given.optimizer.lr * 0.5)
    assert float(rows[0]["entropy"]) == pytest.approx(float(rows[0]["loss"]))
    assert fitted.steps == 5 * 5  # 36 images by 8: four full batches and one of four
    assert fitted.epoch == 5
    assert fitted.seconds == pytest.approx(sum(row["seconds"] for row in fitted.curves))


def test_checkpoint_rules_give_the_weights_they_name() -> None:
    last = train(Tiny(recipe(checkpoint="last"))).model
    averaged = train(Tiny(recipe())).model
    without = train(Tiny(recipe(ema=None, checkpoint="last"))).model
    assert same(last, without)
    assert not same(last, averaged)
    assert not last.training
    assert all(p.requires_grad for p in averaged.parameters())


@pytest.mark.parametrize("train_options", [{}, {"ema": None, "checkpoint": "last", "validate_every": 1}])
def test_a_network_that_came_in_eval_mode_or_was_validated_still_trains(train_options: dict[str, Any]) -> None:
    usual = train(Tiny(recipe(**train_options)))
    assert same(usual.model, train(Tiny(recipe(**train_options)), fresh().eval()).model)
    assert same(usual.model, train(Tiny(recipe(**train_options | {"validate_every": 0}))).model)


class Watched(Tiny):
    """Notes which network predicts, and how."""

    def predict(self, model: nn.Module, batch: dict[str, Any]) -> list[int]:
        self.predicted, self.mode = model, (torch.is_inference_mode_enabled(), model.training)
        return super().predict(model, batch)


@pytest.mark.parametrize("averaged", [True, False])
def test_the_average_is_validated_where_there_is_one(averaged: bool) -> None:
    task = Watched(recipe(validate_every=3, **({} if averaged else {"ema": None, "checkpoint": "last"})))
    model = fresh()
    train(task, model)
    assert (task.predicted is model) is not averaged
    assert task.mode == (True, False)


class Exploding(Tiny):
    def step(self, model: nn.Module, batch: dict[str, Any]) -> Step:
        step = super().step(model, batch)
        self.calls = getattr(self, "calls", 0) + 1
        return Step(step.loss * (float("nan") if self.calls == 7 else 1), step.parts)


def test_divergence_names_epoch_and_step_and_keeps_the_curves(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=r"epoch 2, step 7: loss nan, entropy \d"):
        train(Exploding(recipe()), folder=tmp_path)
    assert (tmp_path / "curves.csv").read_text().count("\n") == 2  # the head and the first epoch


class Count(Silent):
    def __init__(self) -> None:
        self.open: list[str] = []
        self.seen: list[tuple[str, int]] = []

    def begin(self, name: str, total: int) -> None:
        self.open.append(name)
        self.total = total

    def advance(self, done: int, values: Any) -> None:
        self.seen.append((self.open[-1], done))

    def end(self) -> None:
        self.open.pop()


def test_progress_counts_every_step_and_closes_what_it_opened() -> None:
    events = Count()
    train(Tiny(recipe(epochs=2, validate_every=1)), events=events)
    assert [done for name, done in events.seen if name == "train"] == list(range(1, 11))
    assert [done for name, done in events.seen if name == "validate"] == [1, 2, 3, 1, 2, 3]
    assert events.open == []
    with pytest.raises(Diverged):
        train(Exploding(recipe()), events=events)
    assert events.open == []


def test_an_empty_split_is_the_users_mistake() -> None:
    task = Tiny(recipe(), count=0)
    with pytest.raises(DataError, match="training split is empty"):
        train(task)
    with pytest.raises(DataError, match="empty"):
        evaluate(task, fresh(), Images("none", 0), task.recipe)


def test_a_training_of_one_image_works() -> None:
    assert train(Tiny(recipe(epochs=2), count=1)).steps == 2


def test_best_wants_a_metric_that_exists() -> None:
    task = Tiny(recipe(checkpoint="best_ema", validate_every=1))
    with pytest.raises(ConfigError, match="expected the metric"):
        train(task)
    with pytest.raises(UnknownName, match="did you mean 'accuracy'"):
        train(task, metric="acuracy")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ema": None}, "set checkpoint to 'last'"),
        ({"checkpoint": "best_ema"}, "set validate_every to 1 or more"),
    ],
)
def test_a_rule_that_cannot_be_kept_is_refused_with_the_recipe(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        override(recipe(), {f"train.{name}": value for name, value in changes.items()})


def test_evaluation_sees_each_sample_once_in_order_and_leaves_the_mode() -> None:
    task, samples = Tiny(recipe()), Images("validation", 20)
    model = fresh()
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    items = evaluate(task, model, samples, task.recipe, batch=7)
    assert samples.asked == [(0, index) for index in range(20)]
    assert items["right"].shape == (20,)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    items_by_worker = evaluate(task, model, samples, recipe(workers=2))
    np.testing.assert_array_equal(items["right"], items_by_worker["right"])


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_of_several_shapes_reach_the_meter_in_their_order(workers: int) -> None:
    class Odd(Tiny):
        def collate(self, samples: Any) -> dict[str, Any]:
            assert len({sample["image"].shape for sample in samples}) == 1
            return super().collate(samples)

        def predict(self, model: nn.Module, batch: dict[str, Any]) -> list[int]:
            return batch["labels"].tolist()  # right where the meter gets its own truth beside it

    task, samples = Odd(recipe(workers=workers)), Images("validation", 20)
    rng = np.random.default_rng(0)
    shapes = [(12, 12) if wide else (8, 12) for wide in rng.random(20) < 0.5]
    samples.images = [image[:height] for image, (height, _) in zip(samples.images, shapes, strict=True)]
    samples.shapes = shapes

    class Ordered(Accuracy):
        def update(self, predictions: Any, truth: Any) -> None:
            self.right += list(predictions)

    task.meter = Ordered  # type: ignore[method-assign]
    found = evaluate(task, fresh(), samples, task.recipe, batch=3)["right"]
    np.testing.assert_array_equal(found, samples.labels)


def test_splits_are_not_needed_beyond_training_where_nothing_is_validated() -> None:
    task = Tiny(recipe(epochs=1))
    given = task.data(("study", 0))
    nothing: Any = None
    splits = Splits(
        train=given.train, plain=nothing, validation=nothing, test=nothing, classes=given.classes, manifest=""
    )
    assert fit(task, fresh(), splits, task.recipe, key=("study", 0)).steps == 5
