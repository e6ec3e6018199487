"""A bundle or a run as what is served: a model in its fastest runtime, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablab.errors import ConfigError
from ablab.export import is_bundle, read_bundle
from ablab.predict.model import Model
from ablab.predict.shipped import AUTO, Say, open_model
from ablab.records import plain_json, read_record


@dataclass(frozen=True)
class Served:
    """A model, its runtime's name, and its card as JSON data."""

    model: Model
    runtime: str
    card: dict[str, Any]


def open_served(place: Path, runtime: str = AUTO, batch: int = 16, say: Say = lambda text: None) -> Served:
    """A bundle in a runtime (`auto`: the fastest here, by measuring), or a run, which torch alone runs.

    Raises ConfigError and StoreError as `open_model`.
    """
    bundled = is_bundle(place)
    if not bundled and runtime not in (AUTO, "torch"):
        raise ConfigError(
            f"{place} is a run, which torch alone runs, and --runtime says {runtime}; make a bundle of it: ablab export"
        )
    model = open_model(place, runtime=runtime if bundled else None, batch=batch, say=say)
    card = read_bundle(place).card.model_dump(mode="json", exclude={"files"}) if bundled else _card(model)
    model.name = place.resolve().name
    return Served(model, model.runtime, {**card, "thresholds": model.thresholds})


def _card(model: Model) -> dict[str, Any]:
    """What a run, which its model is named after, says of itself where a bundle has its card."""
    record = read_record(Path(model.name) / "record.json")
    key = record.key
    provenance = {"study": key.study, "arm": key.arm, "seed": key.seed, "fingerprint": key.fingerprint}
    return {
        "task": model.finder.recipe.task,
        "classes": list(model.classes),
        "provenance": {**provenance, "scores": plain_json(record.scores)},
        "licence": "not stated",
    }
