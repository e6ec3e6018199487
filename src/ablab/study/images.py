"""New images: every run's evidence is scored again under weights of images, and no network runs again.

One draw of weights serves all arms and seeds of a replicate, so that luck with images cancels between an arm and what
it is compared with. Evidence is read one run at a time, weights are drawn in blocks, and what a run's replicates came
to is kept in `replicates.npz` beside the verdicts. No torch, but for what a task brings along.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ablab import registry
from ablab.config import fingerprint, parse
from ablab.contracts import Items, Meter, Settings, Task
from ablab.errors import StoreError, UnknownName
from ablab.records import RunRecord, read_items, read_json, write_items
from ablab.stats import Population, compare, image_weights, interval, population
from ablab.streams import Key, stream
from ablab.study import groups
from ablab.study.design import by_content
from ablab.study.spec import Study

REPLICATES = 1000
CACHE = "replicates.npz"
WEIGHTS_BYTES = 2**26  # of a block of weights
UNBOUNDED = (-math.inf, math.inf)


def replicates(
    meter: Meter, items: Items, settings: Settings, metric: str, labels: np.ndarray, key: Key, count: int = REPLICATES
) -> np.ndarray:
    """The metric under `count` draws of image weights (count,); `labels` (I,) are groups, drawn whole.

    Equal labels and keys give equal weights: that is how arms and seeds are paired. Raises UnknownName for a metric
    that the meter does not have.
    """
    rng, block = stream(*key), max(1, WEIGHTS_BYTES // (8 * max(len(labels), 1)))
    sizes = [min(block, count - start) for start in range(0, count, block)]
    drawn = (image_weights(labels, size, rng) for size in sizes)
    return np.concatenate([meter.score(items, settings, weights, only=(metric,))[metric] for weights in drawn])


def add_populations(
    folder: Path,
    study: Study,
    records: Sequence[RunRecord],
    rows: Sequence[Mapping[str, Any]],
    sides: Mapping[str, Sequence[str]] | None = None,
) -> list[dict[str, Any]]:
    """The verdicts' rows with `population`: their effects' intervals over seeds, over images and over both.

    {"seeds": [low, high], "images": [low, high], "both": [low, high], "groups": G, "refused": reason or ""}; an end
    that is not bounded is None. A row compares `arm` with `against`: two arms, or by `sides` {name: arms} the mean of
    several, as a factorial's main effect does. Raises ConfigError for images without a group.
    """
    evidence = _Evidence(folder, study, records, sides or {})
    made = [
        dict(row) | {"population": _population(evidence, row, row.get("level", study.judge.alpha)).as_dict()}
        for row in rows
    ]
    evidence.keep()
    return made


def _population(evidence: _Evidence, row: Mapping[str, Any], alpha: float) -> Population:
    seeds, differences = [int(seed) for seed in row["differences"]], list(row["differences"].values())
    if not seeds:
        return Population(UNBOUNDED, UNBOUNDED, UNBOUNDED, 0, "no seed has a score on both sides")
    try:
        drawn = [evidence.of(row["arm"], seed) - evidence.of(row["against"], seed) for seed in seeds]
        return population(
            differences, np.stack(drawn, axis=1), np.unique(evidence.labels, return_counts=True)[1], alpha
        )
    except _Refused as refused:
        low, high = interval(compare(differences), alpha)
        return Population((float(low), float(high)), UNBOUNDED, UNBOUNDED, 0, str(refused))


class _Refused(Exception):
    """Why nothing can be said about new images; it goes into the record."""


class _Evidence:
    """Every run's replicates, computed when they are first asked for. `labels` (I,) are the images' groups."""

    def __init__(
        self, folder: Path, study: Study, records: Sequence[RunRecord], sides: Mapping[str, Sequence[str]]
    ) -> None:
        self.folder, self.judge, self.key = folder, study.judge, ("images", study.name, study.judge.split)
        self.sides = sides
        self.records = {(record.key.arm, record.key.seed): record for record in records}
        asked = [*self.key, study.judge.metric, by_content(study.judge.group), REPLICATES]
        self.known: dict[str, np.ndarray] = {"asked": np.array(fingerprint(asked))}
        self.fresh = False
        with suppress(StoreError):  # what is damaged or absent is computed
            kept = read_items(folder / CACHE)
            if kept.get("asked") == self.known["asked"]:
                self.known = kept

    @property
    def labels(self) -> np.ndarray:
        """Empty while no run's evidence was read."""
        return self.known.get("labels", np.zeros(0, np.str_))

    def of(self, side: str, seed: int) -> np.ndarray:
        """The metric of an arm, or of a side's mean (REPLICATES,). Raises _Refused."""
        return np.mean([self._run(arm, seed) for arm in self.sides.get(side, (side,))], axis=0)

    def _run(self, arm: str, seed: int) -> np.ndarray:
        """The metric of one run (REPLICATES,); a diverged run has the declared score in each."""
        record = self.records[arm, seed]
        if record.status != "done":
            return np.full(REPLICATES, self.judge.on_divergence)
        name = record.key.folder.as_posix()
        if name not in self.known:
            self.known[name] = self._score(record, f"{arm}, seed {seed}")
            self.fresh = True
        return self.known[name]

    def _score(self, record: RunRecord, name: str) -> np.ndarray:
        place = self.folder / record.key.folder
        try:
            run, items = read_json(place / "run.json"), read_items(place / f"items-{self.judge.split}.npz")
        except StoreError as error:
            raise _Refused(f"{name} has no evidence of single images: {error}") from None
        images = items["images"]
        if "images" not in self.known:
            stated = items.get("groups", np.zeros(0, np.str_)).tolist()
            self.known |= {"images": images, "labels": groups.labels(images.tolist(), self.judge.group, stated)}
        if not np.array_equal(images, self.known["images"]):
            raise _Refused(f"{name} was evaluated on other images than the runs before it")
        recipe = run["arm"]["recipe"]
        recipe_kind, task_kind = registry.task(recipe["task"])
        task: Task = task_kind(parse(recipe_kind, recipe, "run.json: recipe"), facts=run["facts"])
        try:
            return replicates(task.meter(), items, run["settings"], self.judge.metric, self.labels, self.key)
        except UnknownName as error:
            raise _Refused(f"'{self.judge.metric}' cannot be scored under weights of images: {error}") from None

    def keep(self) -> None:
        """Write what was computed anew."""
        if self.fresh:
            write_items(self.folder / CACHE, self.known)
