"""Arms that differ only in what comes after the training share it: one trains, the others take its weights.

    baseline, seed 0 --train--> weights, curves --+--> scores
                                                  +--> int8, seed 0 --export--> scores

These are the weights that the other arms would have trained, to the bit: where the machine or its software differs, or
the first run has no record yet, an arm trains on its own.
"""

from __future__ import annotations

import csv
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ablab.engine.checkpoint import load_weights
from ablab.engine.fit import Fitted
from ablab.engine.precision import choose
from ablab.errors import StoreError
from ablab.records import RunKey, RunRecord, read_record
from ablab.study.design import Arm


@dataclass(frozen=True)
class Shared:
    """A finished run in `place` with its `record`, whose training another arm takes."""

    place: Path
    record: RunRecord

    def take(self, model: nn.Module) -> Fitted:
        """`model`, built as that run's was, with its weights, as if it had been trained here."""
        load_weights(self.place / "weights.safetensors", model)
        with (self.place / "curves.csv").open(newline="", encoding="utf-8") as file:
            rows = [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]
        cost = self.record.cost
        return Fitted(
            model=model.eval(),
            curves=tuple(rows),
            epoch=len(rows),
            steps=0,  # none here
            seconds=cost["train_seconds"],
            waiting=cost["waiting_seconds"],
            images_per_second=cost["images_per_second"],
            batch_hash=self.record.batch_hash,
            environment=self.record.environment,
            notes=self.record.notes,
        )


def first(arm: Arm, made: Sequence[Arm]) -> Arm | None:
    """The arm that trains what `arm` would train, and does nothing after it; None where `arm` trains on its own."""
    if not arm.after:
        return None
    return next((other for other in made if not other.after and _training(other) == _training(arm)), None)


def _training(arm: Arm) -> tuple[object, ...]:
    return arm.recipe.model_dump(exclude={"prune"}), arm.edits, arm.stream, arm.teacher  # prune comes after it


def firsts(wanted: Sequence[tuple[Arm, RunKey]]) -> dict[RunKey, RunKey]:
    """{run: the one whose training it takes} of those that take one."""
    keys = {(key.arm, key.seed): key for _, key in wanted}
    made = {arm.name: arm for arm, _ in wanted}
    sources = {name: found.name for name, arm in made.items() if (found := first(arm, [*made.values()]))}
    return {
        key: keys[sources[name], seed]
        for (name, seed), key in keys.items()
        if name in sources and (sources[name], seed) in keys
    }


def in_order(runs: Iterable[tuple[Arm, RunKey]], taking: Container[RunKey]) -> list[tuple[Arm, RunKey]]:
    """Runs in seed-major order, but those `taking` a training behind the next seed's others: by then it is there."""
    runs = list(runs)
    ranks = {seed: rank for rank, seed in enumerate(dict.fromkeys(key.seed for _, key in runs))}
    return sorted(runs, key=lambda run: (ranks[run[1].seed] + (run[1] in taking), run[1] in taking))


def done(folder: Path, key: RunKey | None, arm: Arm) -> Shared | None:
    """The run `key` of the study in `folder`, where it is done, on a machine and with software as they are here."""
    if key is None:
        return None
    try:
        record = read_record(folder / key.folder / "record.json")
    except StoreError:  # none yet, or damaged, which is for its own run to say
        return None
    here = choose(arm.recipe.train).describe()
    if record.key != key or record.status != "done" or any(record.environment.get(k) != v for k, v in here.items()):
        return None
    return Shared(folder / key.folder, record)
