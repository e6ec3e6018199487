"""What a tracker is shown of a study: an entry a run, and one for the verdicts, each read from its files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ablab.config import fingerprint
from ablab.records import read_history, read_json, read_record

VERDICTS = "verdicts"
NUMBERS = ("effect", "sd", "p", "p_holm", "n")  # of a verdict


@dataclass(frozen=True)
class Entry:
    """One row in a tracker. `key` is the run's folder inside the study's, whose name ends in its fingerprint.

    `curves` is {name: (N, 2) pairs of epoch and value}; numbers that are not finite are left out.
    """

    study: str
    key: str
    title: str
    group: str
    status: str
    settings: Mapping[str, str]
    numbers: Mapping[str, float]
    curves: Mapping[str, list[tuple[int, float]]]
    texts: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Of all that is shown: an entry whose digest a tracker has already is not sent again."""
        return fingerprint(vars(self))


class Tracker(Protocol):
    """Where entries go. Its methods raise whatever its package does where it cannot be reached."""

    name: str

    def sent(self) -> Mapping[str, str]:
        """{key: digest} of the entries that it holds whole."""

    def send(self, entry: Entry) -> None:
        """Show an entry, in the place of the one with its key, if there is one."""


def run_entry(folder: Path, path: Path) -> Entry:
    """A run's entry, from its `record.json`. Raises StoreError where a file is damaged."""
    record, place = read_record(path), path.parent
    recipe = read_json(place / "run.json")["arm"]["recipe"] if (place / "run.json").exists() else {}
    test = read_json(place / "test.json") if (place / "test.json").exists() else {}
    numbers = {f"{split}/{name}": v for split, of in {**record.scores, "test": test}.items() for name, v in of.items()}
    numbers |= {f"cost/{name}": value for name, value in record.cost.items()}
    numbers |= {f"chosen/{name}": value for name, value in record.settings.items()}
    history = read_history(place / "curves.csv")
    epochs = [int(epoch) for epoch in history.pop("epoch", [])]
    texts = {"error": record.error, "notes": "\n".join(record.notes), "batches": record.batch_hash}
    return Entry(
        study=record.key.study,
        key=place.relative_to(folder).as_posix(),
        title=f"{record.key.arm}, seed {record.key.seed}",
        group=record.key.arm,
        status=record.status,
        settings={"arm": record.key.arm, "seed": str(record.key.seed), **flat(recipe)},
        numbers=_finite(numbers),
        curves={f"epoch/{name}": _points(epochs, values) for name, values in history.items()},
        texts={name: text for name, text in texts.items() if text},
    )


def verdict_entry(folder: Path) -> Entry | None:
    """What `verdicts.json` says of each arm; None where the study is not judged yet."""
    if not (folder / "verdicts.json").exists():
        return None
    document, name = read_json(folder / "verdicts.json"), read_json(folder / "study.json")["name"]
    rows = document["arms"]
    numbers = {f"{row['arm']}/{field}": row[field] for row in rows for field in NUMBERS if row.get(field) is not None}
    for row in rows:
        ends = zip(("low", "high"), row["simultaneous"], strict=True)
        numbers |= {f"{row['arm']}/{end}": value for end, value in ends if value is not None}
    return Entry(
        study=name,
        key=VERDICTS,
        title=VERDICTS,
        group=VERDICTS,
        status="done",
        settings={"metric": document["metric"], "split": document["split"], "label": document["label"]},
        numbers=_finite(numbers),
        curves={},
        texts={row["arm"]: "; ".join([row["verdict"], *row["qualifiers"]]) for row in rows},
    )


def flat(tree: Mapping[str, Any]) -> dict[str, str]:
    """Nested settings as {dotted path: text}."""
    found: dict[str, str] = {}
    for name, value in tree.items():
        inner = flat(value) if isinstance(value, Mapping) else {}
        found |= {f"{name}.{path}": text for path, text in inner.items()} or {name: str(value)}
    return found


def _points(epochs: list[int], values: list[float]) -> list[tuple[int, float]]:
    return [(epoch, value) for epoch, value in zip(epochs, values, strict=True) if math.isfinite(value)]


def _finite(numbers: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in numbers.items() if value is not None and math.isfinite(value)}
