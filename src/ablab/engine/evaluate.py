"""From a network and a split to per-image evidence."""

from __future__ import annotations

from contextlib import closing

import torch
from torch import nn

from ablab.contracts import Items, SampleSet, Task
from ablab.engine.events import Events, Silent, working
from ablab.engine.loading import in_order, load
from ablab.engine.precision import choose
from ablab.errors import DataError
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
    """Predict every sample once, in order, in the arithmetic of training; the meter's evidence comes back.

    The network is moved to the device, and left in the mode (training or not) it was in. `batch` is training's unless
    given. Raises DataError for an empty split.
    """
    if not len(samples):
        raise DataError("the split to evaluate is empty: expected at least one sample")
    precision, events = choose(recipe.train), events or Silent()
    batches = in_order(len(samples), batch or recipe.train.batch)
    meter, training = task.meter(), model.training
    model = precision.place(model).eval()
    stream = load(samples, batches, task.collate, workers=recipe.train.workers, pin=precision.cuda)
    try:
        with precision.settled(), torch.inference_mode(), working(events, name, len(batches)), closing(stream):
            for done, made in enumerate(stream, start=1):
                with precision.autocast():
                    predictions = task.predict(model, precision.to_device(made))
                meter.update(predictions, made["truth"])
                events.advance(done, {})
    finally:
        model.train(training)
    return meter.items()


def score(task: Task, items: Items) -> dict[str, float]:
    """Every metric of one split's evidence, at the settings that are chosen on that same split (so: validation)."""
    meter = task.meter()
    return {name: float(value[0]) for name, value in meter.score(items, meter.choose(items)).items()}
