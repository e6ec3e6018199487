"""One training's outcome, as others report it, and what was read of many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ablab.errors import DataError
from ablab.stats import Population

SHOWN = 3  # examples in a message


@dataclass(frozen=True)
class Result:
    """One arm under one seed: {metric: score}, or why there is no score.

    `curves` are a meter's, where there are detections to draw them from; `settings` what the run is known to have been
    trained with.
    """

    arm: str
    seed: int
    scores: Mapping[str, float] = field(default_factory=dict)
    missing: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """All results, the metric that decides, and where they came from.

    `split` names what the runs were scored on, where that is known. `populations` are intervals over seeds and images
    {arm: Population} where there were detections. `warnings` is what a reader must know of how it was read.
    """

    results: Sequence[Result]
    metric: str
    source: str
    split: str = ""
    populations: Mapping[str, Population] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def table(self) -> dict[str, dict[int, float | None]]:
        """The deciding metric as {arm: {seed: score}}; None where there is no score."""
        table: dict[str, dict[int, float | None]] = {}
        for result in self.results:
            table.setdefault(result.arm, {})[result.seed] = result.scores.get(self.metric)
        return table


def result(arm: str, seed: int, metric: str, score: float | None, why: str = "", **other: Any) -> Result:
    """A result with one metric; a score that is missing or not finite becomes the reason why there is none."""
    if why or score is None:
        return Result(arm, seed, missing=why or "it has no score", **other)
    if not math.isfinite(score):
        return Result(arm, seed, missing=f"its score is {score}", **other)
    return Result(arm, seed, {metric: score}, **other)


def once_each(results: Sequence[Result], where: str) -> None:
    """Raises DataError where one arm has two results under one seed."""
    seen: set[tuple[str, int]] = set()
    twice: dict[tuple[str, int], None] = {}
    for each in results:
        key = (each.arm, each.seed)
        if key in seen:
            twice[key] = None
        seen.add(key)
    if twice:
        some = ", ".join(f"'{arm}' seed {seed}" for arm, seed in list(twice)[:SHOWN])
        raise DataError(
            f"{where}: {len(twice)} of {len(seen)} runs stand there more than once (such as {some}); one arm under one "
            "seed has one score: keep one of them, or name the column that tells them apart as --arm or --seed"
        )
