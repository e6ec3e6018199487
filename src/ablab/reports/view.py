"""What a report is drawn from: a study's folder, finished or under way, gathered into one value.

    STUDY/ --read--> View --+--> tables, markdown, sheets, document   (text)
                            +--> figures --> html                     (the page)

Nothing is computed here that could change a verdict: scores come from the records, verdicts from `verdicts.json`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ablab import records
from ablab.errors import ConfigError, StoreError
from ablab.records import RunRecord
from ablab.stats import Verdict

Scores = dict[int, dict[str, float]]  # {seed: {metric: value}}


@dataclass(frozen=True)
class Run:
    """One run: its record, its training history {column: values} and its curves on the judge split."""

    record: RunRecord
    history: dict[str, list[float]] = field(default_factory=dict)
    curves: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """A picture of what a change fixed or broke. `png` is None where the file is missing."""

    kind: str
    title: str
    caption: str
    file: str
    png: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Arm:
    """One arm: what it is, what was planned, what ran (by seed), and what was decided."""

    name: str
    kind: str
    because: str
    diff: tuple[str, ...]
    plan: Mapping[str, Any] = field(default_factory=dict)
    runs: Mapping[int, Run] = field(default_factory=dict)
    verdict: Verdict | None = None
    final: Verdict | None = None
    final_scores: Scores = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()

    def done(self) -> dict[int, Run]:
        """The runs that ended well, by seed."""
        return {seed: run for seed, run in self.runs.items() if run.record.status == "done"}

    def diverged(self) -> list[int]:
        """The seeds under which it diverged."""
        return [seed for seed, run in self.runs.items() if run.record.status == "diverged"]

    def cost(self, name: str) -> float | None:
        """A figure of cost: from the plan where it stands there, else the mean over the finished runs."""
        planned = self.plan.get(name)
        if planned is not None:
            return float(planned)
        return mean([run.record.cost[name] for run in self.done().values() if run.record.cost.get(name) is not None])


@dataclass(frozen=True)
class View:
    """A study as a report sees it."""

    folder: Path
    name: str
    fingerprint: str
    version: str
    created: str
    metric: str
    direction: str
    smallest_interesting: float
    alpha: float
    on_divergence: float
    split: str
    seeds: tuple[int, ...]
    design: str
    recipe: Mapping[str, Any]
    arms: tuple[Arm, ...]
    judged: bool = False
    label: str = ""
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    final_split: str = ""
    final_read: str = ""

    @property
    def baseline(self) -> Arm:
        """The arm that all others are compared with."""
        return next(arm for arm in self.arms if arm.kind == "baseline")

    @property
    def compared(self) -> tuple[Arm, ...]:
        """Every arm but the baseline."""
        return tuple(arm for arm in self.arms if arm.kind != "baseline")

    def scores(self, arm: Arm, metric: str, split: str = "") -> dict[int, float]:
        """One metric of an arm's finished runs on a split (the judge's), by seed; runs without it are left out."""
        split = split or self.split
        rows = {seed: run.record.scores.get(split, {}) for seed, run in arm.done().items()}
        if split == self.final_split:
            rows = arm.final_scores
        found = {seed: row.get(metric) for seed, row in sorted(rows.items())}
        return {seed: value for seed, value in found.items() if value is not None}

    def metrics(self, split: str = "") -> list[str]:
        """The metrics that any finished run has on a split, in the order of the records."""
        split = split or self.split
        final = [row for arm in self.arms for row in arm.final_scores.values()] if split == self.final_split else []
        rows = final or [run.record.scores.get(split, {}) for arm in self.arms for run in arm.done().values()]
        return list(dict.fromkeys(name for row in rows for name in row))

    def judged_scores(self, arm: Arm) -> dict[int, float]:
        """The metric that decides, by seed, with the declared score for a run that diverged."""
        return dict(
            sorted({**self.scores(arm, self.metric), **dict.fromkeys(arm.diverged(), self.on_divergence)}.items())
        )

    def expected(self) -> list[tuple[Arm, int]]:
        """Every (arm, seed) that the study asks for, seed by seed."""
        return [(arm, seed) for seed in self.seeds for arm in self.arms]

    def troubled(self) -> list[tuple[Arm, int, RunRecord]]:
        """Runs that failed or diverged."""
        found = [(arm, seed, arm.runs[seed].record) for arm, seed in self.expected() if seed in arm.runs]
        return [row for row in found if row[2].status != "done"]

    def waiting(self) -> list[tuple[Arm, int]]:
        """(arm, seed) without a record: not yet run, or under way."""
        return [(arm, seed) for arm, seed in self.expected() if seed not in arm.runs]


def read(folder: Path) -> View:
    """Gather a study's folder. A study under way gives a view with gaps.

    Raises ConfigError where `folder` is no study; StoreError where a file in it is damaged.
    """
    if not (folder / "study.json").is_file():
        raise ConfigError(f"{folder} is not a study: it holds no study.json; give the folder that `ablab run` wrote")
    study = records.read_json(folder / "study.json")
    planned = _optional(folder / "plan.json")
    plan = {row["arm"]: row for row in planned.get("arms", [])}
    judged = _optional(folder / "verdicts.json")
    final = _optional(folder / "final.json")
    runs = _runs(folder)
    try:
        arms = [_arm(row, plan, runs, judged, final, _pictures(folder)) for row in study["arms"]]
        return View(
            folder=folder,
            **{key: study[key] for key in ("name", "fingerprint", "version", "created", "metric", "direction")},
            **{key: study[key] for key in ("smallest_interesting", "alpha", "on_divergence")},
            split=study["split"],
            design=study["design"],
            seeds=tuple(study["seeds"]),
            recipe=study["baseline"],
            arms=tuple(arms),
            judged=bool(judged),
            label=judged.get("label", ""),
            warnings=_warnings(judged.get("warnings", ()), arms),
            notes=tuple(planned.get("notes", ())),
            strangers=tuple(sorted(set(runs) - {arm.name for arm in arms})),
            final_split=final.get("split", ""),
            final_read=final.get("read", ""),
        )
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"a file in {folder} does not fit this version of ablab: {error!r}; run the study again"
        ) from None


def _arm(
    row: dict[str, Any],
    plan: Mapping[str, Any],
    runs: Mapping[str, dict[int, Run]],
    judged: Mapping[str, Any],
    final: Mapping[str, Any],
    pictures: Mapping[str, list[Picture]],
) -> Arm:
    name = row["name"]
    return Arm(
        name=name,
        kind=row["kind"],
        because=row.get("because", ""),
        diff=tuple(row.get("diff", ())),
        plan=plan.get(name, {}),
        runs=runs.get(name, {}),
        verdict=_verdict(judged.get("arms", []), name),
        final=_verdict(final.get("verdicts", []), name),
        final_scores={int(seed): scores for seed, scores in final.get("scores", {}).get(name, {}).items()},
        pictures=tuple(pictures.get(name, [])),
    )


def _verdict(rows: list[dict[str, Any]], name: str) -> Verdict | None:
    found = [row for row in rows if row["arm"] == name]
    return Verdict.from_dict(found[0]) if found else None


def _warnings(said: list[str], arms: list[Arm]) -> tuple[str, ...]:
    """The judge's warnings, but those about runs that failed or diverged: the reports list these runs themselves."""
    listed = [
        f"{arm.name}, seed {seed}: {run.record.status}"
        for arm in arms
        for seed, run in arm.runs.items()
        if run.record.status != "done"
    ]
    return tuple(warning for warning in said if not warning.startswith(tuple(listed) or ("\0",)))


def _optional(path: Path) -> Any:
    return records.read_json(path) if path.is_file() else {}


def _runs(folder: Path) -> dict[str, dict[int, Run]]:
    """{arm: {seed: run}}. Of two runs of one arm and seed (the recipe was edited between them) the newer one counts."""
    found: dict[str, dict[int, tuple[float, Run]]] = {}
    for path in sorted(folder.glob("runs/*/*/record.json")):
        record, written = records.read_record(path), path.stat().st_mtime
        of_arm = found.setdefault(record.key.arm, {})
        if record.key.seed not in of_arm or of_arm[record.key.seed][0] <= written:
            run = Run(record, read_history(path.with_name("curves.csv")), _optional(path.with_name("curves.json")))
            of_arm[record.key.seed] = (written, run)
    return {arm: {seed: run for seed, (_, run) in sorted(of_arm.items())} for arm, of_arm in found.items()}


def read_history(path: Path) -> dict[str, list[float]]:
    """Read `curves.csv`: {column: one number an epoch, NaN where the cell is empty}; empty without the file.

    Raises StoreError where a cell is no number.
    """
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    try:
        columns = list(zip(*([float(cell) if cell else math.nan for cell in row] for row in rows[1:]), strict=True))
    except ValueError as error:
        raise StoreError(f"{path} is damaged: {error}; delete its folder and run again") from None
    return {name: list(column) for name, column in zip(rows[0] if rows else [], columns, strict=False)}


def _pictures(folder: Path) -> dict[str, list[Picture]]:
    """{arm: pictures}. A file's name is taken as a name, never as a path that leads out of `panels/`."""
    path = folder / "panels" / "panels.json"
    rows = records.read_json(path) if path.is_file() else []
    found: dict[str, list[Picture]] = {}
    for row in rows:
        file = path.parent / Path(row["file"]).name
        png = file.read_bytes() if file.is_file() else None
        found.setdefault(row["arm"], []).append(Picture(row["kind"], row["title"], row["caption"], file.name, png))
    return found


def mean(values: list[float]) -> float | None:
    """The mean, or None of nothing."""
    return math.fsum(values) / len(values) if values else None


def day(text: str) -> str:
    """The date of a moment in ISO form, `2025-11-22`, or the text as it stands where it is none."""
    try:
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        return text
