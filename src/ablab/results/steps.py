"""One score of a run whose scores were logged step by step: the last one, or a choice that is owned up to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ablab.errors import DataError
from ablab.results.result import Result, result

Take = Literal["last", "max", "min"]


@dataclass(frozen=True)
class Row:
    """One row of a table. `step` is its cell, "" where rows are no steps; `run` tells apart runs without a seed."""

    arm: str
    seed: int
    run: str
    step: str
    score: float | None
    missing: str
    settings: Mapping[str, str]
    place: str


def one_each(rows: Sequence[Row], metric: str, take: Take) -> list[Result]:
    """One result a run. Steps without a score say nothing of it. Raises DataError for one step that came twice."""
    runs: dict[tuple[str, int, str], list[Row]] = {}
    for number, row in enumerate(rows):
        runs.setdefault((row.arm, row.seed, row.run if row.step else f"{row.run}:{number}"), []).append(row)
    return [_result(own, metric, take) for own in runs.values()]


def _result(rows: Sequence[Row], metric: str, take: Take) -> Result:
    first = rows[0]
    scored = [row for row in rows if row.score is not None]
    value = _taken(scored, take) if scored else None
    return result(first.arm, first.seed, metric, value, "" if scored else first.missing, settings=first.settings)


def _taken(rows: Sequence[Row], take: Take) -> float | None:
    if len(rows) == 1:
        return rows[0].score
    by_step: dict[float, Row] = {}
    for row in rows:
        if by_step.setdefault(_step(row), row) is not row:
            raise DataError(
                f"{row.place}: '{row.arm}' seed {row.seed} has step {row.step} a second time; one arm under one seed "
                "has one score a step. Is there a column that tells them apart? Name it as --arm or --seed"
            )
    if take == "last":
        return by_step[max(by_step)].score
    known = [row.score for row in rows if row.score is not None and math.isfinite(row.score)]
    return (max(known) if take == "max" else min(known)) if known else math.nan


def _step(row: Row) -> float:
    try:
        return float(row.step)
    except ValueError:
        raise DataError(f"{row.place}: the step is '{row.step}'; expected a number") from None


def said_of_steps(rows: Sequence[Row], take: Take) -> list[str]:
    """What a reader must know of the choice among steps."""
    ends: dict[tuple[str, int, str], float] = {}
    several = False
    for row in rows:
        if row.step and row.score is not None:
            key = (row.arm, row.seed, row.run)
            several = several or key in ends
            ends[key] = max(ends.get(key, -math.inf), _step(row))
    said = []
    if several and take != "last":
        said.append(
            f"the {take} over the steps of every run counts: a choice made on the data that judge, which flatters "
            "every arm, long and unsteady runs most"
        )
    if several and len(set(ends.values())) > 1:
        low, high = min(ends.values()), max(ends.values())
        said.append(f"the runs end at unlike steps, from {low:g} to {high:g}: not all were trained equally long")
    return said
