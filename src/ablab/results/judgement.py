"""Verdicts over anybody's results: typed records that print as a table and draw themselves as a report."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from ablab import stats
from ablab.errors import ConfigError, DataError, UnknownName
from ablab.results.result import Reading, Result
from ablab.stats import Population, Verdict

if TYPE_CHECKING:
    from ablab.reports import View

BASELINE = "baseline"  # what every comparison is against where none is named
COLUMNS = 80  # as wide as a printed table is


@dataclass(frozen=True)
class Judgement(Sequence[Verdict]):
    """One verdict an arm but the baseline, by place or by the arm's name; what was read, and the rules.

    `judgement["frelu"].interval`, `for verdict in judgement`, `print(judgement)`, `judgement.write("report.html")`.
    """

    verdicts: tuple[Verdict, ...]
    reading: Reading
    baseline: str
    direction: Literal["max", "min"]
    smallest_interesting: float
    alpha: float
    paired: bool
    controls: tuple[str, ...]
    warnings: tuple[str, ...]

    @overload
    def __getitem__(self, key: int | str) -> Verdict: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Verdict, ...]: ...
    def __getitem__(self, key: int | str | slice) -> Verdict | tuple[Verdict, ...]:
        if not isinstance(key, str):
            return self.verdicts[key]
        named = {verdict.arm: verdict for verdict in self.verdicts}
        if key not in named:
            raise UnknownName("arm", key, named, "the verdicts")
        return named[key]

    def __len__(self) -> int:
        return len(self.verdicts)

    def __str__(self) -> str:
        from io import StringIO

        from rich.console import Console

        from ablab.reports import Summary

        text = StringIO()
        Console(file=text, width=COLUMNS, no_color=True, force_terminal=False).print(Summary(self.view()))
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines()).strip("\n")

    @property
    def populations(self) -> Mapping[str, Population]:
        """{arm: intervals over seeds, over images, over both}, where there were detections."""
        return self.reading.populations

    def view(self) -> View:
        """What the reports are drawn from."""
        from ablab.results.view import view

        return view(self)

    def as_dict(self) -> dict[str, Any]:
        """The document that `ablab report --json` prints for a study."""
        from ablab.reports import as_document

        return as_document(self.view())

    def to_json(self) -> str:
        """`as_dict` as JSON text."""
        return json.dumps(self.as_dict(), ensure_ascii=False, indent=1, allow_nan=False)

    def latex(self) -> str:
        """The verdict table in LaTeX (booktabs)."""
        from ablab.reports import as_latex

        return as_latex(self.view())

    def write(self, path: str | Path) -> Path:
        """Write the report: what it is, the file's name tells (.html, .md, .tex, .csv, .json).

        Raises UnknownName for another ending; StoreError where it cannot be written.
        """
        from ablab.results.view import write

        return write(self, Path(path))


def judged(
    reading: Reading,
    *,
    smallest_interesting: float,
    baseline: str | None = None,
    direction: Literal["max", "min"] = "max",
    alpha: float = 0.05,
    controls: Collection[str] = (),
    paired: bool = True,
) -> Judgement:
    """Judge what was read. Without a name the baseline is the arm `baseline`.

    Raises UnknownName for a baseline or control that was not read; DataError for fewer than two arms, for arms without
    a common seed, and for one seed, from which no verdict over seeds can come.
    """
    name = baseline_of(reading.table(), baseline, reading.source)
    if paired:
        reading = replace(reading, results=(*reading.results, *_not_there(reading)))
    table = {name: reading.table()[name], **reading.table()}
    _can_be_judged(table, name, paired, reading.source)
    rules: dict[str, Any] = {"direction": direction, "smallest_interesting": smallest_interesting, "alpha": alpha}
    verdicts = stats.judge(table, name, controls=controls, paired=paired, **rules)
    return Judgement(
        tuple(verdicts), reading, name, **rules, paired=paired, controls=tuple(controls), warnings=_warnings(reading)
    )


def baseline_of(arms: Collection[str], named: str | None, where: str) -> str:
    """The baseline's name: the one that is given, or `baseline`. Raises UnknownName or ConfigError."""
    if named is not None:
        if named not in arms:
            raise UnknownName("baseline", named, arms, where)
        return named
    if BASELINE not in arms:
        shown = ", ".join(f"'{arm}'" for arm in list(arms)[:12])
        raise ConfigError(
            f"{where}: no arm is called '{BASELINE}'; say which one is the baseline. The arms are {shown}"
        )
    return BASELINE


def _can_be_judged(table: Mapping[str, Mapping[int, float | None]], baseline: str, paired: bool, where: str) -> None:
    if len(table) < 2:
        raise DataError(f"{where}: only the arm '{baseline}' was read; a comparison wants a second one")
    if not paired:
        if max(map(len, table.values())) < 2:
            raise DataError(f"{where}: {_ONE_SEED}")
        return
    own = {arm: {seed for seed, score in seeds.items() if score is not None} for arm, seeds in table.items()}
    common = {arm: seeds & own[baseline] for arm, seeds in own.items() if arm != baseline}
    for arm, seeds in common.items():
        if not seeds:
            seen, base = (", ".join(map(str, sorted(own[name])[:4])) or "none" for name in (arm, baseline))
            raise DataError(
                f"{where}: '{arm}' has no seed in common with '{baseline}' ({seen} against {base}); scores are paired "
                "by seed, a pandas Series by its index; where the arms share no seeds, ask for an unpaired test"
            )
    if max(map(len, common.values())) < 2:
        raise DataError(f"{where}: {_ONE_SEED}")


_ONE_SEED = (
    "one score an arm has no spread, so nothing tells a change from luck; train under 5 seeds or more (2 are the least)"
)


def _not_there(reading: Reading) -> list[Result]:
    """Runs that have a seed's row in some other arm only."""
    table = reading.table()
    seeds = sorted({seed for arm in table.values() for seed in arm})
    return [Result(arm, seed, missing="no such run") for arm in table for seed in seeds if seed not in table[arm]]


def _warnings(reading: Reading) -> tuple[str, ...]:
    lost = [result for result in reading.results if result.missing]
    if not lost:
        return reading.warnings
    return (
        *reading.warnings,
        f"{len(lost)} of {len(reading.results)} runs have no score, and their pairs are left out. Where a run "
        "diverged, give it the score that you declared for that (0, say): leaving it out flatters its arm.",
    )
