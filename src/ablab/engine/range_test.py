"""The learning rate range test: a short training whose rate grows exponentially, until the loss breaks away.

    rate(k) = low (high / low)^(k / (steps - 1))          k = 0 ... steps - 1

    loss  --------.                     .'
                   '-.               .-'
                      '-._______.--'
                     steepest   largest          log rate

The rate of the steepest fall learns fastest; the largest usable rate is where the loss is least, since beyond it each
step undoes more than it gains: on a quadratic of curvature L that is 2 / L. Source: Smith 2017, "Cyclical learning
rates for training neural networks", section 3.3; the exponential growth, the smoothing and the end at four times the
best loss follow fastai's learning rate finder.
"""

from __future__ import annotations

import copy
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from torch import nn

from ablab.contracts import Splits, Task
from ablab.engine.events import Events, Silent, working
from ablab.engine.loading import load
from ablab.engine.training import Training
from ablab.errors import ConfigError, DataError, Diverged
from ablab.recipe import Recipe
from ablab.streams import Key

BREAKAWAY = 4.0  # times the best smoothed loss: there the test ends, as in fastai
MEMORY = 0.9  # of the running mean that decides when to end; a tenth of the default steps
WIDTH = 0.03  # of the steps: the sd of the Gaussian that smooths what is read and drawn
FEWEST = 20  # steps below which a slope is mostly noise
CLEAR = 3.0  # standard deviations of a batch's loss, by which the smoothed loss must have fallen


@dataclass(frozen=True)
class RangeTest:
    """What the test saw and what follows from it.

    `rates`, `losses`, `smoothed` have one number a step, in the loss's own units; the loss of a step was measured under
    the weights that the rates before it made. `steepest` and `largest` are learning rates, None where the loss never
    clearly fell. `broke` is the rate at which the loss broke away or was no longer finite, None where it never did.
    `reasons` says in sentences why these.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    steepest: float | None
    largest: float | None
    broke: float | None
    reasons: tuple[str, ...]


def range_test(
    task: Task,
    model: nn.Module,
    splits: Splits,
    recipe: Recipe,
    *,
    key: Key,
    steps: int = 100,
    low: float = 1e-6,
    high: float = 1.0,
    events: Events | None = None,
) -> RangeTest:
    """Train a copy of `model` for up to `steps` optimizer steps under growing rates; `model` stays as it is.

    Batches, clipping, precision and optimizer are the recipe's; its schedule, averages and validation have no part.
    Every draw depends on `key` alone. Parameters with a factor of their own (`optimizer.rates`) keep it.

    Raises ConfigError for fewer than 20 steps or a range that does not grow, DataError for an empty training split.
    """
    if steps < FEWEST or not 0 < low < high:
        raise ConfigError(f"a range test wants {FEWEST} steps or more and 0 < low < high; got {steps}, {low}, {high}")
    if not len(splits.train):
        raise DataError("the training split is empty: expected at least one sample")
    rates = low * (high / low) ** (np.arange(steps) / (steps - 1))
    losses, broke = follow(task, model, splits, recipe, rates, key=key, events=events)
    return read(rates[: len(losses)], np.array(losses), broke)


def follow(
    task: Task,
    model: nn.Module,
    splits: Splits,
    recipe: Recipe,
    rates: np.ndarray,
    *,
    key: Key,
    events: Events | None = None,
    said: str = "range test",
) -> tuple[list[float], float | None]:
    """Train a copy of `model` under learning rates (K,), one an optimizer step; batches and the rest as `range_test`.

    Returns the loss of every step, and the rate at which it broke away, after which there are no more; None where it
    never did.
    """
    training = _training(task, model, splits, recipe, key, len(rates))
    with training.precision.settled():
        return _losses(training, splits, rates, events or Silent(), said)


def _training(task: Task, model: nn.Module, splits: Splits, recipe: Recipe, key: Key, steps: int) -> Training:
    """A training of a copy, long enough, without what only matters at its end."""
    batches = -(-len(splits.train if splits.sampling is None else splits.sampling) // recipe.train.batch)
    off: dict[str, Any] = {"ema": None, "swa": None, "early_stopping": None, "checkpoint": "last", "validate_every": 0}
    off |= {"compile": False, "devices": 1, "unfreeze": {}, "epochs": steps * recipe.train.accumulate // batches + 2}
    train = recipe.train.model_copy(update=off)
    whole = recipe.model_copy(update={"train": train})
    training = Training(task, copy.deepcopy(model), splits, whole, key, "", "max")
    training.ledger.every = 1
    training.freezing.enter(1)
    training.freezing.train()
    return training


def _losses(
    training: Training, splits: Splits, rates: np.ndarray, events: Events, said: str
) -> tuple[list[float], float | None]:
    """The loss of every step, and the rate at which it broke away, if it did."""
    losses: list[float] = []
    mean, best = 0.0, float("inf")
    train = training.recipe.train
    stream = load(
        splits.train, training.sampler, training.task.collate, workers=train.workers, pin=training.precision.cuda
    )
    with closing(stream), working(events, said, len(rates)):
        for at, (rate, sizes) in enumerate(zip(rates.tolist(), cycle(training.groups), strict=False)):
            try:
                training.move(stream, sizes, rate)
            except Diverged:
                return losses, rate
            losses.append(training.ledger.latest["loss"])
            mean = MEMORY * mean + (1 - MEMORY) * losses[-1]
            seen = mean / (1 - MEMORY ** (at + 1))  # a mean of what there is, as in Adam
            best = min(best, seen)
            if seen > BREAKAWAY * best:
                return losses, rate
            events.advance(at + 1, {"rate": rate, "loss": losses[-1]})
    return losses, None


def read(rates: np.ndarray, losses: np.ndarray, broke: float | None) -> RangeTest:
    """Conclude from rates (K,), spaced evenly in their logarithm, and the losses (K,) under them.

    The smoothed loss is a Gaussian-weighted mean over neighbouring steps, so that its least value stands where it was
    seen and not some steps later, as with a running mean. It fell clearly where it fell by more than `CLEAR` standard
    errors; a batch's noise is estimated by successive differences (von Neumann 1941), which a trend hardly enters.
    """
    seen = (tuple(rates.tolist()), tuple(losses.tolist()))
    if len(losses) < FEWEST // 2:
        said = f"the loss broke away after {len(losses)} steps: nothing can be read; begin at a lower rate"
        return RangeTest(*seen, seen[1], None, None, broke, (said,))
    width = max(1.0, WIDTH * len(losses))
    smoothed = _smoothed(losses, width)
    least = int(smoothed.argmin())
    slope = np.gradient(smoothed)[: max(1, least)]
    before = losses[: max(2, least + 1)]
    noise = float(np.sqrt((np.diff(before) ** 2).mean() / 2))
    error = noise * np.sqrt(2 / (2 * np.sqrt(np.pi) * width))  # of a difference between two smoothed values
    fall = float(smoothed[: least + 1].max() - smoothed[least])
    end = _end(rates, broke)
    if least == 0 or fall <= CLEAR * error:
        said = f"the loss never fell clearly: by {fall:.3g} at most, with a standard error of {error:.3g}"
        return RangeTest(*seen, tuple(smoothed.tolist()), None, None, broke, (said, end))
    steepest, largest = float(rates[slope.argmin()]), float(rates[least])
    speed = -slope.min() * _a_decade(rates)
    reasons = (
        f"steepest {steepest:.2g}: there the loss falls fastest, by {speed:.3g} for a tenfold rate",
        f"largest usable {largest:.2g}: there the smoothed loss is least, {smoothed[least]:.4g}; above it a step "
        "undoes more than it gains",
        end,
    )
    return RangeTest(*seen, tuple(smoothed.tolist()), steepest, largest, broke, reasons)


def _smoothed(values: np.ndarray, width: float) -> np.ndarray:
    """A Gaussian-weighted mean of (K,) over steps, of the standard deviation `width`; at the ends, of what there is."""
    steps = np.arange(len(values))
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / width) ** 2)
    mean: np.ndarray = weights @ values / weights.sum(axis=1)
    return mean


def _a_decade(rates: np.ndarray) -> float:
    """Steps in which the rate grows tenfold."""
    return float((len(rates) - 1) / np.log10(rates[-1] / rates[0]))


def _end(rates: np.ndarray, broke: float | None) -> str:
    if broke is None:
        return f"the loss never broke away up to {rates[-1]:.2g}: rates above it were not tried"
    return f"at {broke:.2g} the loss broke away: more than {BREAKAWAY:g} times its best, or not finite"
