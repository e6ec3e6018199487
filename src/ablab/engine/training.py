"""One training's state: what a step moves, and what a snapshot must hold for the next step to be the same."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from ablab.contracts import Batch, Splits, Step, Task
from ablab.engine import checkpoint, optim, swa
from ablab.engine.best import Best, quality
from ablab.engine.distributed import ALONE, Team
from ablab.engine.ema import EMA
from ablab.engine.forward import Forward
from ablab.engine.freezing import Freezing
from ablab.engine.ledger import Ledger, Row
from ablab.engine.loading import BatchHash, KeyedSampler
from ablab.engine.precision import choose
from ablab.engine.schedule import factor
from ablab.engine.stopping import Stopping
from ablab.measure.seeding import reseed
from ablab.recipe import Recipe
from ablab.streams import Key

CUDA_READ_EVERY = 10  # steps between two readings of the loss from a card


@dataclass(frozen=True)
class Portion:
    """One of a step's batches: its place among all of the training's, its weight, and whether it is the step's last."""

    batch: Batch
    number: int
    weight: float
    last: bool


class Training:
    """Network, optimizer, average and counters; `done` counts optimizer steps.

    In a team every rank holds all of it, and rank 0's counts: the others' running statistics and times are their own.
    """

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        splits: Splits,
        recipe: Recipe,
        key: Key,
        metric: str,
        direction: str,
        team: Team = ALONE,
    ) -> None:
        train = recipe.train
        self.team = team
        self.task, self.recipe, self.key, self.metric, self.direction = task, recipe, key, metric, direction
        self.precision = choose(train)
        self.model = self.precision.place(model)
        self.sampler = KeyedSampler(len(splits.train), key, train.batch, train.epochs, splits.sampling)
        sizes, several = self.sampler.sizes, train.accumulate
        self.groups = [
            sizes[at : at + several] for at in range(0, len(sizes), several)
        ]  # batch sizes of an epoch's steps
        self.steps = train.epochs * len(self.groups)
        self.optimizer = optim.optimizer(self.model, recipe.optimizer)  # holds what is frozen too, see Freezing
        optim.check(self.optimizer, train)
        self.searches = optim.searches(self.optimizer)
        self.scaler = self.precision.scaler()
        self.freezing = Freezing(self.model, train.freeze, train.unfreeze)
        full = len(team.share(range(train.batch)))
        self.forward = Forward(task, self.model, team, train.compile, full, train.sync_norm)
        self.ema = EMA(self.model, train.ema.decay, train.ema.tau) if train.ema else None
        self.swa = swa.SWA(self.model, train) if train.swa else None
        self.ledger = Ledger(len(self.groups), CUDA_READ_EVERY if self.precision.cuda else 1, self.scaler.is_enabled())
        self.hash = BatchHash()
        self.best = Best() if train.checkpoint == "best_ema" else None
        self.stopping = Stopping(train.early_stopping, metric, direction) if train.early_stopping else None
        self.curves: list[Row] = []
        self.done, self.rate, self.spent = 0, 0.0, 0.0  # steps; the last one's learning rate; seconds in this epoch
        self.waited = 0.0  # of them, seconds in which the next batch was not there yet
        self._clock = time.perf_counter()

    @property
    def epochs(self) -> int:
        """Epochs whose row is written."""
        return len(self.curves)

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self.epochs == self.recipe.train.epochs or bool(self.stopping and self.stopping.reason)

    def place(self) -> tuple[int, int]:
        """Steps that are done in the epoch under way, and batches in all."""
        inside = self.done - self.epochs * len(self.groups)
        return inside, self.epochs * len(self.sampler.sizes) + inside * self.recipe.train.accumulate

    def epoch(self, stream: Iterator[Batch]) -> Iterator[Row]:
        """What is left of an epoch: yields after each step what is worth seeing; then its row stands in `curves`.

        The row's `lr` is the last step's, `images_per_second` is of the whole loop; `waiting` are those of its
        `seconds` in which the next batch was not there yet. A card may still have been computing then.
        """
        number = self.epochs + 1
        if self.freezing.enter(number):
            self.forward.refresh()
        self.freezing.train()
        self._clock = time.perf_counter() - self.spent
        for at in range(self.place()[0], len(self.groups)):
            self.step(stream, self.groups[at])
            self.spent = time.perf_counter() - self._clock
            speed = sum(map(sum, self.groups[: at + 1])) / self.spent
            yield {"epoch": number, "loss": self.ledger.latest.get("loss", float("nan")), "images/s": speed}
        means, images = self.ledger.close(), sum(self.sampler.sizes)
        seconds, self.spent = time.perf_counter() - self._clock, 0.0
        times = {"seconds": seconds, "images_per_second": images / seconds, "waiting": self.waited}
        self.waited = 0.0
        self.curves.append({"epoch": number, "lr": self.rate, **means, **times})
        if self.swa:
            self.swa.update(number)

    def step(self, stream: Iterator[Batch], sizes: Sequence[int]) -> None:
        """One optimizer step at the rate that the schedule has for it."""
        share = swa.factor(self.done, len(self.groups), self.recipe.train)
        if share is None:
            share = factor(self.done, self.steps, self.recipe.schedule)
        self.move(stream, sizes, self.recipe.optimizer.lr * share)

    def move(self, stream: Iterator[Batch], sizes: Sequence[int], rate: float) -> None:
        """One optimizer step at `rate`, on the mean gradient over the samples of the next `len(sizes)` batches."""
        self.rate = rate
        optim.set_rate(self.optimizer, self.rate)
        batches = self.batches(stream, sizes)
        if self.searches:
            self.search(list(batches))
        else:
            result, norm = self.gradient(batches)
            self.ledger.add(self.done, result, norm)
            self.scaler.step(self.optimizer)
            self.scaler.update()
        if self.ema:
            self.ema.update()
        self.done += 1

    def batches(self, stream: Iterator[Batch], sizes: Sequence[int]) -> Iterator[Portion]:
        """The next `len(sizes)` batches, which are a step's, on the device."""
        first = self.place()[1]
        for at, size in enumerate(sizes):
            asked = time.perf_counter()
            batch = next(stream)
            self.waited += time.perf_counter() - asked
            self.hash.update(batch)
            weight = size / sum(sizes) * self.team.weight(size)
            yield Portion(self.precision.to_device(batch), first + at, weight, at == len(sizes) - 1)

    def gradient(self, batches: Iterable[Portion]) -> tuple[Step, Tensor]:
        """Put the gradient of a step's batches into the parameters, clipped; the team's step, and the norm before."""
        self.optimizer.zero_grad()
        results = []
        for portion in batches:
            with nullcontext() if portion.last else self.forward.holding():
                results.append(self.backward(portion.batch, portion.number, portion.weight))
        self.scaler.unscale_(self.optimizer)
        norm = optim.clip(self.optimizer, self.recipe.train.clip_norm, self.recipe.train.clip_value)
        return averaged(total(results), self.team), norm

    def search(self, batches: Sequence[Portion]) -> None:
        """A step that evaluates its batches again and again, each time with equal draws.

        The first evaluation alone counts: for the ledger, and for running statistics, which move once a step.
        """
        result, norm = self.gradient(batches)
        self.ledger.add(self.done, result, norm)
        buffers = [(buffer, buffer.clone()) for buffer in self.model.buffers()]
        first = [result.loss]
        self.optimizer.step(lambda: first.pop() if first else self.gradient(batches)[0].loss)  # type: ignore[arg-type, return-value]
        for buffer, kept in buffers:
            buffer.copy_(kept)

    def backward(self, batch: Batch, number: int, weight: float) -> Step:
        """Add `weight` times one batch's gradient; what the network draws (dropout) depends on key and number alone.

        Returns the step with that weight on all of its values, detached.
        """
        reseed("step", *self.key, number, *(("rank", self.team.rank) if self.team.rank else ()))
        with self.precision.autocast():
            result = self.forward(batch)
        loss = result.loss * weight if weight != 1 else result.loss
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return Step(loss.detach(), {name: part * weight for name, part in result.parts.items()})

    def judge(self, scores: Mapping[str, float]) -> None:
        """Take a validation of the epoch that ended last: into its row, to the best epoch and to early stopping."""
        self.curves[-1] |= {f"validation/{name}": value for name, value in scores.items()}
        if self.best and self.ema:
            value = quality(scores, self.metric, self.direction, "train.checkpoint")
            self.best.offer(self.epochs, value, self.ema.model)
        if self.stopping and self.epochs < self.recipe.train.epochs:
            self.stopping.watch(self.epochs, quality(scores, self.metric, self.direction, "train.early_stopping"))

    def watched(self) -> nn.Module:
        """The network to validate: the average, where there is one."""
        if self.swa and self.swa.count:
            return self.swa.average.module
        return self.ema.model if self.ema else self.model

    def refresh(self, batches: Iterable[Batch]) -> None:
        """Give the averaged network's norms the statistics of `batches`; what it draws depends on the key alone."""
        if self.swa is None or not self.swa.count:
            return
        self.freezing.enter(self.epochs)  # after a restore at the very end no epoch did it
        self.freezing.train()
        numbers = count()

        def step(network: nn.Module, batch: Batch) -> None:
            reseed("swa", *self.key, next(numbers))
            with self.precision.autocast():
                self.task.step(network, self.precision.to_device(batch))

        self.swa.refresh(batches, step)

    def chosen(self) -> nn.Module:
        """The network with the weights that the checkpoint rule names, buffers included, in eval mode."""
        if self.best:
            self.model.load_state_dict(self.best.weights)
        elif self.swa:
            self.model.load_state_dict(self.swa.average.module.state_dict())
        elif self.ema and self.recipe.train.checkpoint == "last_ema":
            self.model.load_state_dict(self.ema.model.state_dict())
        self.freezing.end()
        return self.model.eval()

    def notes(self) -> tuple[str, ...]:
        """Sentences for the record."""
        skipped = f"{self.ledger.skipped} of {self.done} steps overflowed in fp16 and were skipped"
        stopped = self.stopping.reason if self.stopping else ""
        found = (*self.precision.notes, self.forward.note, skipped if self.ledger.skipped else "", stopped)
        return tuple(note for note in found if note)

    def about(self) -> dict[str, Any]:
        """Under what a snapshot can be gone on from to the same bits, besides the recipe."""
        conditions = {
            "format": 4,
            "devices": self.team.size,
            "batch": self.recipe.train.batch,
            "key": self.key,
            "metric": self.metric,
            "direction": self.direction,
        }
        return {**conditions, **self.precision.describe()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the next step depends on: tensors, and the rest as JSON."""
        tensors = _prefixed("model", self.model.state_dict())
        remembered, rest = optim.state(self.optimizer, self.model)
        tensors |= _prefixed("optimizer", remembered)
        plain: dict[str, Any] = {"done": self.done, "spent": self.spent, "rate": self.rate, "curves": self.curves}
        plain |= {"waited": self.waited, "optimizer": rest}
        plain |= {"ledger": self.ledger.state(), "hashes": self.team.gather(self.hash.state)}
        plain["scaler"] = self.scaler.state_dict()
        if self.ema:
            tensors |= _prefixed("ema", self.ema.model.state_dict())
            plain["ema"] = self.ema.step
        if self.swa:
            tensors |= _prefixed("swa", self.swa.average.state_dict())
        if self.best:
            tensors |= _prefixed("best", self.best.weights)
            plain["best"] = self.best.state()
        if self.stopping:
            plain["stopping"] = self.stopping.state()
        return tensors, plain

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Stand where `state` was taken. Raises ConfigError, before anything is changed, where it does not fit."""
        checkpoint.check(self.model, _part("model", tensors), "the snapshot")
        if self.ema:
            checkpoint.check(self.ema.model, _part("ema", tensors), "the snapshot's average")
        if self.swa:
            checkpoint.check(self.swa.average, _part("swa", tensors), "the snapshot's mean")
        optim.restore(self.optimizer, self.model, _part("optimizer", tensors), plain["optimizer"])
        self.model.load_state_dict(_part("model", tensors))
        if self.ema:
            self.ema.model.load_state_dict(_part("ema", tensors))
            self.ema.step = plain["ema"]
        if self.swa:
            self.swa.average.load_state_dict(_part("swa", tensors))
        if self.best:
            device = self.precision.device
            weights = {name: value.to(device, copy=True) for name, value in _part("best", tensors).items()}
            self.best.restore(plain["best"], weights)
        if self.stopping:
            self.stopping.restore(plain["stopping"])
        self.ledger.restore(plain["ledger"])
        self.hash = BatchHash(plain["hashes"][self.team.rank])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(plain["scaler"])
        self.curves = list(plain["curves"])
        self.done, self.spent, self.rate = plain["done"], plain["spent"], plain["rate"]
        self.waited = plain["waited"]
        self.sampler.start = self.place()[1]


def averaged(result: Step, team: Team) -> Step:
    """A step's values over the whole team, weighted already; one message for all of them."""
    if team.size == 1:
        return result
    values = team.average(torch.stack([result.loss, *result.parts.values()]).float())
    return Step(values[0], dict(zip(result.parts, values[1:], strict=True)))


def total(results: Sequence[Step]) -> Step:
    """The steps of a group as one: their values were weighted already."""
    if len(results) == 1:
        return results[0]
    parts = {name: sum((result.parts[name] for result in results[1:]), part) for name, part in results[0].parts.items()}
    return Step(sum((result.loss for result in results[1:]), results[0].loss), parts)


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def _part(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}/"): t for name, t in tensors.items() if name.startswith(f"{prefix}/")}
