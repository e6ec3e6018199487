"""A bundle or a run as what is served: a model in its fastest runtime, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablab.contracts import Finder
from ablab.errors import ConfigError
from ablab.export import choose, is_bundle, read_bundle
from ablab.predict.asked import chosen
from ablab.predict.model import Model, Runner
from ablab.predict.network import Network, open_run
from ablab.records import plain_json, read_record

AUTO = "auto"
AS_EXPORTED = {"postprocess.rectangular": False, "train.device": "cpu", "train.precision": "fp32"}


@dataclass(frozen=True)
class Served:
    """A model, its runtime's name, and its card as JSON data."""

    model: Model
    runtime: str
    card: dict[str, Any]


def open_served(place: Path, runtime: str = AUTO, batch: int = 16) -> Served:
    """A bundle in a runtime (`auto`: the fastest here, by measuring), or a run, which torch alone runs.

    Raises ConfigError and StoreError as `read_bundle`, `choose` and `open_run`.
    """
    if not is_bundle(place):
        return _run(place, runtime, batch)
    bundle = read_bundle(place)
    own = open_run(place, AS_EXPORTED, batch)
    network = _restorer(own.runner)
    if runtime == AUTO:
        found = choose(bundle, network=network, batch=batch)
        name, runner = found.name, found.runner
    else:
        name, runner = runtime, bundle.open(runtime, network=network, batch=batch)
    data = bundle.card.model_dump(mode="json", exclude={"files"})
    model = _model(own.finder, runner, chosen(own.finder.classes, bundle.card.thresholds), batch, place)
    return Served(model, name, {**data, "thresholds": model.thresholds})


def _run(place: Path, runtime: str, batch: int) -> Served:
    if runtime not in (AUTO, "torch"):
        raise ConfigError(
            f"{place} is a run, which torch alone runs, and --runtime says {runtime}; make a bundle of it: ablab export"
        )
    own = open_run(place, None, batch)
    model = _model(own.finder, own.runner, own.thresholds, batch, place)
    record = read_record(Path(own.name) / "record.json")
    key = record.key
    provenance = {"study": key.study, "arm": key.arm, "seed": key.seed, "fingerprint": key.fingerprint}
    card = {
        "task": model.finder.recipe.task,
        "classes": list(model.classes),
        "thresholds": model.thresholds,
        "provenance": {**provenance, "scores": plain_json(record.scores)},
        "licence": "not stated",
    }
    return Served(model, "torch", card)


def _model(finder: Finder, runner: Runner, thresholds: dict[str, float], batch: int, place: Path) -> Model:
    return Model(finder, runner, thresholds, batch=batch, name=place.resolve().name)


def _restorer(runner: Runner) -> Callable[[], Any]:
    """What gives a bundle's network to each runtime of torch, which makes it its own."""
    assert isinstance(runner, Network)  # what `open_run` makes
    network = runner.model
    return lambda: deepcopy(network)
