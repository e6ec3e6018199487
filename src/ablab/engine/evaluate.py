"""From a network and a split to per-image evidence."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import torch
from torch import nn

from ablab.contracts import Items, Meter, SampleSet, Task
from ablab.engine.events import Events, Silent, working
from ablab.engine.loading import in_order, load
from ablab.engine.memory import explained
from ablab.engine.pieces import free
from ablab.engine.precision import choose
from ablab.errors import DataError, TooLarge
from ablab.recipe import Recipe


def evaluate(
    task: Task,
    model: nn.Module,
    samples: SampleSet,
    recipe: Recipe,
    *,
    events: Events | None = None,
    batch: int | None = None,
    name: str = "evaluate",
) -> Items:
    """Predict every sample once, in the arithmetic of training; the meter's evidence comes back, in their order.

    Samples of unlike shape never share a batch. The network is moved to the device, and left in the mode (training or
    not) it was in. `batch` is training's unless given. Where a card's memory does not hold it, half as many are
    predicted at a time, from the start: a prediction does not depend on its neighbours.

    Raises DataError for an empty split, RunError where memory runs out.
    """
    if not len(samples):
        raise DataError("the split to evaluate is empty: expected at least one sample")
    events, size, training = events or Silent(), batch or recipe.train.batch, model.training
    try:
        while True:
            try:
                return _items(task, model, samples, recipe, events, size, name)
            except TooLarge as error:
                if size == 1:
                    raise
                events.say(f"{error}; beginning again with {size // 2} at a time")
            size //= 2
            free()
    finally:
        model.train(training)


def _items(
    task: Task, model: nn.Module, samples: SampleSet, recipe: Recipe, events: Events, size: int, name: str
) -> Items:
    """The evidence, `size` samples at a time."""
    precision = choose(recipe.train)
    batches = in_order(len(samples), size, samples.shapes)
    meter = _InOrder(task.meter())
    model = precision.place(model).eval()
    stream = load(samples, batches, task.collate, workers=recipe.train.workers, pin=precision.cuda)
    with (
        explained(recipe.train.model_copy(update={"batch": size})),
        precision.settled(),
        torch.inference_mode(),
        closing(stream),
        working(events, name, len(batches)),
    ):
        for done, (indices, made) in enumerate(zip(batches, stream, strict=True), start=1):
            with precision.autocast():
                predictions = task.predict(model, precision.to_device(made))
            meter.update([index for _, index in indices], predictions, made["truth"])
            events.advance(done, {})
    return meter.items()


class _InOrder:
    """Gives a meter its samples in their order, in whichever they are predicted."""

    def __init__(self, meter: Meter) -> None:
        self.meter, self.next = meter, 0
        self._waiting: dict[int, tuple[Any, Any]] = {}

    def update(self, indices: Sequence[int], predictions: Sequence[Any], truth: Sequence[Any]) -> None:
        """Take one batch; the meter gets what is next, as far as it has come."""
        self._waiting |= dict(zip(indices, zip(predictions, truth, strict=True), strict=True))
        ready = []
        while self.next in self._waiting:
            ready.append(self._waiting.pop(self.next))
            self.next += 1
        if ready:
            self.meter.update([prediction for prediction, _ in ready], [truth for _, truth in ready])

    def items(self) -> Items:
        """The evidence."""
        return self.meter.items()


def score(task: Task, items: Items) -> dict[str, float]:
    """Every metric of one split's evidence, at the settings that are chosen on that same split (so: validation)."""
    meter = task.meter()
    return {name: float(value[0]) for name, value in meter.score(items, meter.choose(items)).items()}
