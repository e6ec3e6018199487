"""What the steps of `after` ask for: which of the network's channels go, how long it is fine-tuned, where it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ablab.config import override
from ablab.errors import UnknownName
from ablab.recipe import PRUNE, After, Recipe

RUNTIMES: Mapping[After, str] = {
    "export/fp32": "openvino",
    "export/bf16": "openvino-bf16",
    "export/int8": "openvino-int8",
    "export/onnx-fp32": "onnx",
    "export/onnx-int8": "onnx-int8",
}


def share(after: Iterable[After]) -> float | None:
    """The share of channels that is pruned; None where nothing is."""
    return next((float(step.removeprefix(PRUNE)) for step in after if step.startswith(PRUNE)), None)


def runtime(after: Iterable[After], arm: str) -> str | None:
    """The runtime that the network is exported to; None where it is not. Raises UnknownName for an unknown step."""
    for step in after:
        if not step.startswith(PRUNE) and step not in RUNTIMES:
            raise UnknownName("step", step, RUNTIMES, f"after, of the arm {arm}")
    return next((RUNTIMES[step] for step in after if step in RUNTIMES), None)


def in_order(steps: Iterable[After]) -> tuple[After, ...]:
    """Steps of several changes: what is pruned is pruned before it is exported."""
    return tuple(sorted(steps, key=lambda step: not step.startswith(PRUNE)))


def tuning(recipe: Recipe) -> Recipe:
    """The recipe of the fine-tune after pruning, as its section `prune` says.

    Everything learns, and the checkpoint of stochastic weight averaging, which few epochs are too short for, is the
    last network.
    """
    train, swa = recipe.train, recipe.train.swa is not None
    return override(
        recipe,
        {
            "start": None,
            "optimizer.lr": recipe.optimizer.lr * recipe.prune.rate,
            "train.epochs": max(1, round(train.epochs * recipe.prune.tune)),
            "train.freeze": [],
            "train.unfreeze": {},
            "train.swa": None,
            "train.checkpoint": "last" if swa else train.checkpoint,
        },
        "prune",
    )


def told(steps: Sequence[After], recipe: Recipe) -> list[str]:
    """What is done after training, a line a step."""
    tuned = tuning(recipe)
    epochs = f"{tuned.train.epochs} epoch{'s' if tuned.train.epochs > 1 else ''}"
    tail = f" and {epochs} of fine-tuning at {recipe.prune.rate:g} of the rate"
    return [f"after training: {step}{tail if step.startswith(PRUNE) else ''}" for step in steps]
