"""The page's tables, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ablab import stats
from ablab.reports import crowds, evidence, front, numerals, sentences
from ablab.reports.view import Arm, View

COSTS = {
    "parameters": ("parameters", numerals.amount),
    "FLOPs": ("flops", numerals.amount),
    "latency, ms": ("latency_ms", numerals.milliseconds),
    "training": ("train_seconds", numerals.duration),
    "peak memory, MB": ("peak_memory_mb", numerals.megabytes),
}


@dataclass(frozen=True)
class Grid:
    """A table of text: a head and rows that begin with their name."""

    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


def cost(view: View) -> Grid:
    """What each arm costs, with the change against the baseline."""
    base = view.baseline
    known = {head: column for head, column in COSTS.items() if any(a.cost(column[0]) is not None for a in view.arms)}

    def cell(arm: Arm, name: str, form: Any) -> str:
        change = numerals.change(arm.cost(name), base.cost(name)) if arm is not base else ""
        return f"{form(arm.cost(name))} ({change})" if change else form(arm.cost(name))

    return Grid(["arm", *known], [(a.name, [cell(a, name, form) for name, form in known.values()]) for a in view.arms])


def fronts(view: View) -> Grid | None:
    """The probability of each arm to be on the accuracy-cost front, a column a cost; None where none is known."""
    found = {label: chances for name, label in front.COSTS.items() if (chances := front.chances(view, name))}
    if not found:
        return None
    placed = [arm for arm in view.arms if any(arm.name in chances for chances in found.values())]
    rows = [(arm.name, [numerals.percent(chances.get(arm.name)) for chances in found.values()]) for arm in placed]
    return Grid(["arm", *[f"by {label}" for label in found]], rows)


def seed_scores(view: View) -> Grid:
    """The metric that decides, of every arm and seed; where seeds are many, how it is spread over them."""
    known = {arm.name: view.judged_scores(arm) for arm in view.arms}
    seeds = [seed for seed in view.seeds if any(seed in found for found in known.values())]
    if len(seeds) > crowds.SEEDS:
        return _quantiles(known)
    rows = []
    for arm in view.arms:
        found = known[arm.name]
        cells = [numerals.score(found.get(seed)) + ("†" if seed in arm.lost else "") for seed in seeds]
        rows.append((arm.name, [*cells, sentences.spread(found)]))
    return Grid(["arm", *[f"seed {seed}" for seed in seeds], "mean ± sd"], rows)


def _quantiles(known: Mapping[str, dict[int, float]]) -> Grid:
    """Scores by arm and seed as five numbers an arm."""
    rows = []
    for name, found in known.items():
        five = np.quantile(list(found.values()), (0, 0.25, 0.5, 0.75, 1)).tolist() if found else [None] * 5
        rows.append((name, [str(len(found)), *map(numerals.score, five), sentences.spread(found)]))
    return Grid(
        ["arm", "seeds", "lowest", "a quarter below", "median", "a quarter above", "highest", "mean ± sd"], rows
    )


def chances(view: View) -> Grid | None:
    """How often an arm's run beats one of what it is compared with; None without verdicts."""
    rows = []
    for arm in view.questions:
        verdict = arm.verdict
        if verdict is None or not numerals.known(verdict.improvement):
            continue
        sign = 1 if view.direction == "max" else -1
        wins = sum(sign * difference > 0 for difference in verdict.differences.values())
        paired = [f"{wins} of {verdict.n}"] if view.paired else []
        low, high = verdict.improvement_interval
        rows.append(
            (
                arm.name,
                [
                    *paired,
                    f"{verdict.improvement:.2f}",
                    f"[{low:.2f}, {high:.2f}]",
                    numerals.p_value(verdict.p_sign_flip),
                ],
            )
        )
    paired = ["seeds in its favour"] if view.paired else []
    head = ["arm", *paired, "P(a run of it is better)", f"{100 * (1 - view.alpha):g}% interval", "exact sign-flip p"]
    return _without_gaps(Grid(head, rows)) if rows else None


def spans(view: View) -> Grid | None:
    """What holds over seeds, over images and over both, a row an arm; None where nobody looked at images."""
    rows = [
        (
            arm.name,
            [numerals.signed(arm.verdict.effect if arm.verdict else None)]
            + [numerals.interval(ends) for ends in (p.seeds, p.images, p.both)]
            + [str(p.groups or numerals.NOTHING)],
        )
        for arm in view.questions
        if (p := arm.population)
    ]
    head = ["arm", "effect", "over seeds", "over images", "over both", "groups of images"]
    return Grid(head, rows) if rows else None


def resolutions(view: View) -> Grid | None:
    """What the study could see, a row an arm; None below two pairs."""
    found = evidence.resolutions(view)

    def pairing(row: evidence.Resolution) -> str:
        if row.pairing is None:
            return numerals.NOTHING
        enough = "pays" if row.pairing > stats.pairing_threshold(row.n, view.alpha) else "does not pay"
        return f"{row.pairing:.2f} ({enough})".replace("-", "−")

    rows = [
        (
            row.arm,
            [
                str(row.n),
                *map(numerals.fine, (row.arm_sd, row.reference_sd, row.sd)),
                pairing(row),
                *map(numerals.fine, (row.one, row.family)),
            ],
        )
        for row in found
    ]
    head = ["arm", "pairs", "sd of the arm", "sd of the other", "sd(d)", "pairing", "could see: alone", "all arms"]
    return _without_gaps(Grid(head, rows)) if rows else None


def _without_gaps(grid: Grid) -> Grid:
    """A table without the columns in which nothing is known."""
    kept = [i for i in range(len(grid.head) - 1) if any(cells[i] != numerals.NOTHING for _, cells in grid.rows)]
    return Grid(
        [grid.head[0], *(grid.head[i + 1] for i in kept)],
        [(name, [cells[i] for i in kept]) for name, cells in grid.rows],
    )


def effects(view: View, metrics: Sequence[tuple[str, str]]) -> tuple[Grid, int] | None:
    """The effects on other (metric, label)s with pointwise intervals, and how many there are; None without any."""
    found = {arm.name: {e.metric: e for e in evidence.effects(view, arm, metrics)} for arm in view.compared}

    def cell(effect: evidence.Effect | None) -> str:
        if effect is None:
            return numerals.NOTHING
        return f"{numerals.signed(effect.effect)} {numerals.interval((effect.low, effect.high))}"

    rows = [(label, [cell(row.get(metric)) for row in found.values()]) for metric, label in metrics]
    count = sum(len(row) for row in found.values())
    return (upright(Grid(["", *found], rows)), count) if count else None


def scores(view: View, metrics: Sequence[tuple[str, str]], split: str = "") -> Grid:
    """Mean and spread over seeds of (metric, label)s; rows are metrics, columns arms."""
    rows = [(label, [sentences.spread(view.scores(arm, name, split)) for arm in view.arms]) for name, label in metrics]
    return upright(Grid(["metric", *[arm.name for arm in view.arms]], rows))


def upright(grid: Grid) -> Grid:
    """A table whose columns are arms, turned where they are too many: then its rows are."""
    if len(grid.head) <= crowds.ARMS + 1:
        return grid
    columns = zip(*(cells for _, cells in grid.rows), strict=True)
    rows = [(name, list(cells)) for name, cells in zip(grid.head[1:], columns, strict=True)]
    return Grid(["arm", *(name for name, _ in grid.rows)], rows)


def metrics(view: View, split: str, without: str = "/") -> Grid:
    """Metrics without these signs (`/`: of one class; `@`: at a fixed threshold): rows are metrics, columns arms."""
    known = [name for name in view.metrics(split) if any(view.scores(arm, name, split) for arm in view.arms)]
    return scores(view, [(name, name) for name in known if not set(without) & set(name)], split)
