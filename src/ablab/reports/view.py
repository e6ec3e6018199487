"""What a report is drawn from: a study, finished or under way, or anybody's scores, gathered into one value.

    STUDY/ --reading.read--> View --+--> tables, markdown, latex, sheets, document   (text)
    scores ------------------^      +--> figures --> html                            (the page)

Nothing is computed here that could change a verdict: scores come from the records, verdicts from `verdicts.json`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ablab.records import RunRecord
from ablab.stats import Population, Verdict

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
    """One arm: what it is, what was planned, what ran (by seed), what was decided.

    `kind` is baseline, change, control, or cell: an arm of a factorial, whose own row only describes.
    """

    name: str
    kind: str
    because: str = ""
    diff: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)
    runs: Mapping[int, Run] = field(default_factory=dict)
    verdict: Verdict | None = None
    population: Population | None = None
    final: Verdict | None = None
    final_scores: Scores = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()

    def done(self) -> dict[int, Run]:
        """The runs that ended well, by seed."""
        return self._done

    @cached_property
    def _done(self) -> dict[int, Run]:  # asked for once a metric, class and figure
        return {seed: run for seed, run in self.runs.items() if run.record.status == "done"}

    @cached_property
    def lost(self) -> frozenset[int]:
        """The seeds under which it diverged, to look up."""
        return frozenset(self.diverged())

    def diverged(self) -> list[int]:
        """The seeds under which it diverged."""
        return [seed for seed, run in self.runs.items() if run.record.status == "diverged"]

    def cost(self, name: str) -> float | None:
        """A figure of cost: from the plan where it stands there, else the mean over the finished runs."""
        planned = self.plan.get(name)
        if planned is not None:
            return float(planned)
        return mean([run.record.cost[name] for run in self.done().values() if run.record.cost.get(name) is not None])


@dataclass(frozen=True, kw_only=True)
class View:
    """A study as a report sees it. Only the first six fields are needed: anybody's scores make a view.

    `folder` is None where ablab did not train; then `source` says where the scores came from. `paired` is False where
    seeds are not common to the arms. `looks`, `confirm` and `factorial` are the records of these names as they stand on
    disk; `looking` is what was declared of looks; `effects` are a factorial's main effects, each as if it were an arm;
    `data` is {arm: fingerprint of its data}.
    """

    name: str
    metric: str
    direction: str
    smallest_interesting: float
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    alpha: float = 0.05
    split: str = ""
    folder: Path | None = None
    source: str = ""
    paired: bool = True
    fingerprint: str = ""
    version: str = ""
    created: str = ""
    on_divergence: float = 0.0
    design: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    judged: bool = False
    label: str = ""
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    final_split: str = ""
    final_read: str = ""
    looks: tuple[Mapping[str, Any], ...] = ()
    confirm: Mapping[str, Any] = field(default_factory=dict)
    factorial: Mapping[str, Any] = field(default_factory=dict)
    looking: Mapping[str, Any] = field(default_factory=dict)
    effects: tuple[Arm, ...] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    _metrics: dict[str, list[str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def baseline(self) -> Arm:
        """The arm that all others are compared with."""
        return next(arm for arm in self.arms if arm.kind == "baseline")

    def arm(self, name: str) -> Arm:
        """The arm of this name; the baseline where there is none."""
        return next((arm for arm in self.arms if arm.name == name), self.baseline)

    @cached_property
    def compared(self) -> tuple[Arm, ...]:
        """Every arm but the baseline."""
        return tuple(arm for arm in self.arms if arm.kind != "baseline")

    @cached_property
    def questions(self) -> tuple[Arm, ...]:
        """What the study gives verdicts on: its arms, or the main effects of a factorial and its controls."""
        if not self.effects:
            return self.compared
        return *self.effects, *(arm for arm in self.arms if arm.kind == "control")

    @cached_property
    def correction(self) -> str:
        """Who corrected the p-values for the number of arms: Holm or Dunnett."""
        return "Dunnett" if any(arm.verdict.p_dunnett is not None for arm in self.questions if arm.verdict) else "Holm"

    def reference(self, arm: Arm) -> Arm:
        """The arm that another was judged against."""
        return self.arm(arm.verdict.against) if arm.verdict else self.baseline

    def scores(self, arm: Arm, metric: str, split: str = "") -> dict[int, float]:
        """One metric of an arm's finished runs on a split (the judge's), by seed; runs without it are left out."""
        split = split or self.split
        rows = {seed: run.record.scores.get(split, {}) for seed, run in arm.done().items()}
        if split and split == self.final_split:
            rows = arm.final_scores
        found = {seed: row.get(metric) for seed, row in sorted(rows.items())}
        return {seed: value for seed, value in found.items() if value is not None}

    def metrics(self, split: str = "") -> list[str]:
        """The metrics that any finished run has on a split, in the order of the records."""
        split = split or self.split
        if split not in self._metrics:
            self._metrics[split] = self._find_metrics(split)
        return list(self._metrics[split])

    def _find_metrics(self, split: str) -> list[str]:
        read = split and split == self.final_split
        rows = [row for arm in self.arms for row in arm.final_scores.values()] if read else []
        rows = rows or [run.record.scores.get(split, {}) for arm in self.arms for run in arm.done().values()]
        return list(dict.fromkeys(name for row in rows for name in row))

    def judged_scores(self, arm: Arm) -> dict[int, float]:
        """The metric that decides, by seed, with the declared score for a run that diverged."""
        return dict(
            sorted({**self.scores(arm, self.metric), **dict.fromkeys(arm.diverged(), self.on_divergence)}.items())
        )

    def expected(self) -> list[tuple[Arm, int]]:
        """Every (arm, seed) that the study asks for, seed by seed; in a study with looks, up to its next one."""
        asked = {arm.name: set(self.seeds[: self._asked(arm)]) for arm in self.arms}
        return [(arm, seed) for seed in self.seeds for arm in self.arms if seed in asked[arm.name]]

    def _asked(self, arm: Arm) -> int:
        """How many seeds an arm gets: where a look stopped it, that look's, unless another is compared with it."""
        at = self.looking.get("at")
        if not at:
            return len(self.seeds)
        last = {row["arm"]: row for row in self.looks}
        ahead = at[min(max((row["look"] for row in self.looks), default=0), len(at) - 1)]
        own = {a.name: ahead for a in self.compared}
        own |= {name: row["seeds"] for name, row in last.items() if row["outcome"] != "goes on"}
        others = [name for a in self.compared if self.reference(a) is arm and (name := a.name)]
        return max((own[name] for name in (arm.name, *others) if name in own), default=ahead)

    def troubled(self) -> list[tuple[Arm, int, RunRecord]]:
        """Runs that failed or diverged."""
        found = [(arm, seed, arm.runs[seed].record) for arm, seed in self.expected() if seed in arm.runs]
        return [row for row in found if row[2].status != "done"]

    def waiting(self) -> list[tuple[Arm, int]]:
        """(arm, seed) without a record: not yet run, or under way. Scores from elsewhere wait for nothing."""
        return [] if self.folder is None else [(arm, seed) for arm, seed in self.expected() if seed not in arm.runs]


def mean(values: list[float]) -> float | None:
    """The mean, or None of nothing."""
    return math.fsum(values) / len(values) if values else None


def day(text: str) -> str:
    """The date of a moment in ISO form, `2025-11-22`, or the text as it stands where it is none."""
    try:
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        return text
