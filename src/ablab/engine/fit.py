"""The loop: from a network, a data set and a recipe to a trained network.

    batches --step--> loss --backward--> clip --> ledger --> optimizer --> EMA      a step
       `-> hash                                                                     torch is reseeded before it

One process trains one network, so the loop may set torch's generators. On one machine the same key gives the same
weights to the bit, with any number of loader workers.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from ablab.contracts import Batch, Splits, Task
from ablab.engine import optim
from ablab.engine.ema import EMA
from ablab.engine.evaluate import evaluate, score
from ablab.engine.events import Events, Silent, working
from ablab.engine.ledger import Ledger, Row, write_curves
from ablab.engine.loading import BatchHash, KeyedSampler, load
from ablab.engine.precision import choose
from ablab.engine.schedule import factor
from ablab.errors import ConfigError, DataError, UnknownName
from ablab.measure.seeding import reseed
from ablab.recipe import Recipe
from ablab.streams import Key

CUDA_READ_EVERY = 10  # steps between two readings of the loss from a card


@dataclass(frozen=True)
class Fitted:
    """A finished training. `model` holds the checkpoint rule's weights, in eval mode.

    `seconds` is training alone, without validation; `epoch` is the one the weights come from, counted from 1.
    """

    model: nn.Module = field(repr=False)
    curves: tuple[Row, ...]
    epoch: int
    steps: int
    seconds: float
    batch_hash: str
    environment: dict[str, str]


def fit(
    task: Task,
    model: nn.Module,
    splits: Splits,
    recipe: Recipe,
    *,
    key: Key,
    folder: Path | None = None,
    events: Events | None = None,
    metric: str | None = None,
    direction: Literal["max", "min"] = "max",
) -> Fitted:
    """Train `model` in place on `splits.train`, and load the weights that the checkpoint rule names.

    `key` is (study, seed): every draw depends on it and on the step, on nothing else. `folder` receives `curves.csv`
    after each epoch. `metric` and `direction` choose the best epoch on validation, for the rule `best_ema` alone;
    test is never read (trap 13).

    Raises Diverged where a loss or gradient is not finite, DataError for an empty split, ConfigError where the rule
    wants a metric and none came.
    """
    if recipe.train.checkpoint == "best_ema" and metric is None:
        raise ConfigError("train.checkpoint is 'best_ema': expected the metric that chooses the epoch, got none")
    if not len(splits.train):
        raise DataError("the training split is empty: expected at least one sample")
    training = _Training(task, model, splits, recipe, key, events or Silent())
    with training.precision.settled():
        return training.run(folder, metric, direction)


class _Training:
    """The state of one training."""

    def __init__(self, task: Task, model: nn.Module, splits: Splits, recipe: Recipe, key: Key, events: Events) -> None:
        train = recipe.train
        self.task, self.splits, self.recipe, self.key, self.events = task, splits, recipe, key, events
        self.precision = choose(train)
        self.model = self.precision.place(model)
        self.sampler = KeyedSampler(len(splits.train), key, train.batch, train.epochs)
        self.optimizer = optim.optimizer(self.model, recipe.optimizer)
        self.ema = EMA(self.model, train.ema.decay, train.ema.tau) if train.ema else None
        self.ledger = Ledger(self.sampler.steps_per_epoch, CUDA_READ_EVERY if self.precision.cuda else 1)
        self.hash = BatchHash()
        self.done = 0  # steps

    def run(self, folder: Path | None, metric: str | None, direction: str) -> Fitted:
        train, curves = self.recipe.train, list[Row]()
        best: _Best | None = _Best(metric or "", direction) if train.checkpoint == "best_ema" else None
        stream = load(
            self.splits.train, self.sampler, self.task.collate, workers=train.workers, pin=self.precision.cuda
        )
        with closing(stream), working(self.events, "train", len(self.sampler)):
            for epoch in range(1, train.epochs + 1):
                row = self.epoch(epoch, stream)
                if train.validate_every and (epoch % train.validate_every == 0 or epoch == train.epochs):
                    scores = self.validate()
                    row |= {f"validation/{name}": value for name, value in scores.items()}
                    if best and self.ema:
                        best.offer(epoch, scores, self.ema.model)
                curves.append(row)
                if folder:
                    write_curves(folder / "curves.csv", curves)
        return Fitted(
            model=self.keep(best),
            curves=tuple(curves),
            epoch=best.epoch if best else train.epochs,
            steps=self.done,
            seconds=sum(row["seconds"] for row in curves),
            batch_hash=self.hash.hexdigest(),
            environment=self.precision.describe(),
        )

    def epoch(self, epoch: int, stream: Iterator[Batch]) -> Row:
        """One pass over the data; its row of the curves, with `lr` as it was in the last step."""
        start = time.perf_counter()
        self.model.train()
        for _ in range(self.sampler.steps_per_epoch):
            batch = next(stream)
            self.hash.update(batch)
            self.step(self.precision.to_device(batch))
            self.events.advance(self.done, {"epoch": epoch, "loss": self.ledger.latest.get("loss", float("nan"))})
        means = self.ledger.close()
        rate = self.optimizer.param_groups[0]["lr"]
        return {"epoch": epoch, "lr": rate, **means, "seconds": time.perf_counter() - start}

    def step(self, batch: Batch) -> None:
        """Forward, backward, clip, move. What the network itself draws (dropout) depends on key and step alone."""
        reseed("step", *self.key, self.done)
        optim.set_rate(
            self.optimizer, self.recipe.optimizer.lr * factor(self.done, len(self.sampler), self.recipe.schedule)
        )
        with self.precision.autocast():
            result = self.task.step(self.model, batch)
        self.optimizer.zero_grad()
        result.loss.backward()  # type: ignore[no-untyped-call]
        self.ledger.add(self.done, result, optim.clip(self.optimizer, self.recipe.train.clip_norm))
        self.optimizer.step()
        if self.ema:
            self.ema.update()
        self.done += 1

    def validate(self) -> dict[str, float]:
        model = self.ema.model if self.ema else self.model
        items = evaluate(self.task, model, self.splits.validation, self.recipe, events=self.events, name="validate")
        return score(self.task, items)

    def keep(self, best: _Best | None) -> nn.Module:
        """The network with the weights that the rule names, buffers included."""
        if best:
            self.model.load_state_dict(best.state)
        elif self.ema and self.recipe.train.checkpoint == "last_ema":
            self.model.load_state_dict(self.ema.model.state_dict())
        return self.model.eval()


class _Best:
    """The best epoch so far, the earlier of equals."""

    def __init__(self, metric: str, direction: str) -> None:
        self.metric, self.sign = metric, 1 if direction == "max" else -1
        self.epoch, self.value = 0, float("-inf")
        self.state: dict[str, Tensor] = {}

    def offer(self, epoch: int, scores: dict[str, float], model: nn.Module) -> None:
        """Keep this epoch's weights where it is better; NaN is worse than any number."""
        if self.metric not in scores:
            raise UnknownName("metric", self.metric, scores, "train.checkpoint")
        found = scores[self.metric]
        value = float("-inf") if math.isnan(found) else self.sign * found
        if value > self.value or not self.state:
            self.epoch, self.value, self.state = epoch, value, copy.deepcopy(model.state_dict())
