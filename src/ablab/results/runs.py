"""From tables of runs to results: which column is the arm, which the seed, which the score."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ablab.errors import DataError
from ablab.results.labels import Source
from ablab.results.result import Reading, Result, once_each
from ablab.results.settings import differing
from ablab.results.steps import Row, Take, one_each, said_of_steps
from ablab.results.table import Table, is_score, score, seed

UNNAMED = -(2**63)  # the seed of a run that has none


@dataclass(frozen=True)
class Columns:
    """What was asked for by name; None is the usual name. `take` chooses among the steps of a run.

    `study` is the one to read of an Optuna storage.
    """

    arm: str | None = None
    seed: str | None = None
    metric: str | None = None
    take: Take = "last"
    study: str | None = None


@dataclass(frozen=True)
class _Chosen:
    """The columns of one table; for "" what the source says holds in every row."""

    arm: str
    seed: str
    metric: str


def read_tables(given: Sequence[tuple[Source, Table]], asked: Columns, *, paired: bool, source: str) -> Reading:
    """One result an arm and seed, sorted by name.

    Raises UnknownName for a column that is not there; DataError where the columns leave a question open, where one arm
    has two scores under one seed, and for a cell that cannot be read.
    """
    chosen = [_choose(origin, table, asked, alone=len(given) == 1, paired=paired) for origin, table in given]
    names = dict.fromkeys(_bare(table, own.metric) for (_, table), own in zip(given, chosen, strict=True))
    metric = next(iter(names))
    if len(names) > 1:
        raise DataError(f"{source}: the scores have several names, {', '.join(names)}; name one as --metric")
    rows = [row for (origin, table), own in zip(given, chosen, strict=True) for row in _rows(origin, table, own)]
    found = one_each(rows, metric, asked.take)
    if any(each.seed == UNNAMED for each in found):
        found = _numbered(found)
    once_each(found, source)
    found.sort(key=lambda each: (natural(each.arm), each.seed))
    return Reading(found, metric, source, warnings=(*said_of_steps(rows, asked.take), *differing(found)))


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts names as people do: v2 before v10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _choose(origin: Source, table: Table, asked: Columns, *, alone: bool, paired: bool) -> _Chosen:
    arm = own_seed = ""
    if (asked.arm and origin.arm) or (asked.seed and origin.seed is not None):
        raise DataError(f"{table.where}: say its arm and seed by ARM/SEED=FILE or by --arm and --seed, not by both")
    if asked.arm or (not origin.arm and table.has("arm")):
        arm = table.find(asked.arm or "arm", "arm")
    elif not origin.arm and alone:
        raise DataError(f"{table.where}: no column tells the arm; name it as --arm. {_read_as(table)}")
    if asked.seed or (origin.seed is None and table.has("seed")):
        own_seed = table.find(asked.seed or "seed", "seed")
    elif origin.understood()[1] is None and paired:
        raise DataError(
            f"{table.where}: no column tells the seed; name it as --seed, or ask for --unpaired where the arms have no "
            f"seeds in common. {_read_as(table)}"
        )
    return _Chosen(arm, own_seed, _metric(table, asked.metric, {arm, own_seed, table.steps, table.run, table.state}))


def _metric(table: Table, asked: str | None, taken: set[str]) -> str:
    if asked or table.has(table.metric):
        return table.find(asked or table.metric, "score")
    free = [name for name in table.columns if name and name not in taken and name not in table.settings()]
    numbers = [name for name in free if all(map(is_score, table.cells(name))) and any(table.cells(name))]
    if len(numbers) == 1:
        return numbers[0]
    shown = ", ".join(_bare(table, name) for name in numbers[:12]) or "none"
    raise DataError(f"{table.where}: which column is the score? Name it as --metric; columns of numbers: {shown}")


def _read_as(table: Table) -> str:
    shown = ", ".join(table.columns[:12]) + (", ..." if len(table.columns) > 12 else "")
    return f"It was read as a {table.kind}, with the columns {shown}"


def _bare(table: Table, column: str) -> str:
    return next((column.removeprefix(p) for p in table.prefixes if column.startswith(p)), column)


def _rows(origin: Source, table: Table, chosen: _Chosen) -> Iterator[Row]:
    """Every row of a table, read."""
    count, (said_arm, said_seed) = len(table.rows), origin.understood()

    def cells(column: str) -> list[str]:
        return table.cells(column) if column else [""] * count

    arms, scores, states = cells(chosen.arm), cells(chosen.metric), cells(table.state)
    seeds, runs = cells(chosen.seed), cells(table.run)
    steps = cells(table.steps if table.steps not in (chosen.arm, chosen.seed) else "")
    kept = {_bare(table, name): cells(name) for name in table.settings() if name not in (chosen.arm, chosen.seed)}
    for row in range(count):
        place = table.place(row)
        if chosen.arm and not arms[row]:
            raise DataError(f"{place}: the cell of the arm is empty")
        number = seed(seeds[row], place) if chosen.seed else UNNAMED if said_seed is None else said_seed
        unfinished = f"the run is {states[row]}" if table.state and states[row].casefold() != table.finished else ""
        run = runs[row] if table.run else "" if number != UNNAMED else str(row)
        yield Row(
            arm=arms[row] or said_arm,
            seed=number,
            run=run,
            step=steps[row],
            score=None if unfinished else score(scores[row], place),
            missing=unfinished,
            settings={name: values[row] for name, values in kept.items()},
            place=place,
        )


def _numbered(found: Sequence[Result]) -> list[Result]:
    """Runs without seeds, counted within each arm: for an unpaired test the numbers mean nothing."""
    counts: dict[str, int] = {}
    numbered = []
    for each in found:
        counts[each.arm] = counts.get(each.arm, -1) + 1
        numbered.append(replace(each, seed=counts[each.arm]))
    return numbered
