"""The report as one self-contained page: no script, nothing fetched, everything escaped.

The template holds the structure, this file what it is filled with. A content policy in the page itself forbids the
browser to fetch anything, so that even a hostile name or caption could not.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ablab.config import flatten
from ablab.reports import curves, figures, numerals, sentences
from ablab.reports.canvas import PALETTE, THEME, colour
from ablab.reports.sites import becomes
from ablab.reports.view import Arm, Picture, View, day, mean

SIGNS = {"helps": "▲", "hurts": "▼", "equivalent": "=", "undecided": "?"}


@dataclass(frozen=True)
class Grid:
    """A table of text: a head and rows that begin with their name."""

    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


def as_page(view: View) -> str:
    """The report as HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ablab.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(view=view, numerals=numerals, sentences=sentences, signs=SIGNS, day=day, becomes=becomes)
    environment.globals.update(colour=lambda arm: _variable(view, arm), theme=THEME, palette=PALETTE)
    return environment.get_template("report.html.j2").render(**_content(view))


def _content(view: View) -> dict[str, Any]:
    return {
        "verdicts": [_row(view, arm) for arm in view.arms],
        "effects": figures.effects(view),
        "scores": figures.scores(view),
        "costs": figures.costs(view),
        "cost_rows": _cost(view),
        "shifts": curves.score_shift(view),
        "precision_recall": curves.precision_recall(view),
        "training": {column: curves.training(view, column) for column in curves.histories(view)},
        "diverged": any(arm.diverged() for arm in view.arms),
        "seed_scores": _seed_scores(view),
        "metrics": _metrics(view, view.split),
        "classes": _classes(view),
        "final": _metrics(view, view.final_split, "/@") if view.final_split else None,
        "final_all": _metrics(view, view.final_split),
        "pictures": [(arm, kind, found) for arm in view.compared for kind, found in _by_kind(arm).items()],
        "data_uri": _data_uri,
        "settings": flatten(dict(view.recipe)),
        "runs": [(arm, seed, arm.runs[seed].record) for arm, seed in view.expected() if seed in arm.runs],
        "environments": sentences.environments(view),
    }


def _by_kind(arm: Arm) -> dict[str, list[Picture]]:
    """{what the change did: its pictures}."""
    found: dict[str, list[Picture]] = {}
    for picture in arm.pictures:
        found.setdefault(picture.kind, []).append(picture)
    return found


def _variable(view: View, arm: Arm) -> str:
    """An arm's colour as the page's CSS variable."""
    found = colour(view, arm)
    roles = {value: f"var(--{role})" for role, value in THEME.items()}
    return roles[found] if found in roles else f"var(--arm-{PALETTE.index(found)})"


def _row(view: View, arm: Arm) -> dict[str, Any]:
    return {
        "arm": arm,
        "verdict": arm.verdict,
        "qualifiers": sentences.qualifiers(view, arm.verdict) if arm.verdict else [],
        "needed": sentences.needed(arm.verdict),
        "score": mean(list(view.judged_scores(arm).values())),
    }


def _cost(view: View) -> Grid:
    base = view.baseline
    columns = {
        "parameters": ("parameters", numerals.amount),
        "FLOPs": ("flops", numerals.amount),
        "latency, ms": ("latency_ms", numerals.milliseconds),
        "training": ("train_seconds", numerals.duration),
        "peak memory, MB": ("peak_memory_mb", numerals.megabytes),
    }
    known = {head: column for head, column in columns.items() if any(a.cost(column[0]) is not None for a in view.arms)}

    def cell(arm: Arm, name: str, form: Any) -> str:
        change = numerals.change(arm.cost(name), base.cost(name)) if arm is not base else ""
        return f"{form(arm.cost(name))} ({change})" if change else form(arm.cost(name))

    return Grid(["arm", *known], [(a.name, [cell(a, name, form) for name, form in known.values()]) for a in view.arms])


def _seed_scores(view: View) -> Grid:
    rows = []
    for arm in view.arms:
        found = view.judged_scores(arm)
        cells = [numerals.score(found.get(seed)) + ("†" if seed in arm.diverged() else "") for seed in view.seeds]
        rows.append((arm.name, [*cells, sentences.spread(found)]))
    return Grid(["arm", *[f"seed {seed}" for seed in view.seeds], "mean ± sd"], rows)


def _metrics(view: View, split: str, without: str = "/") -> Grid:
    """Metrics without these signs (`/`: of one class; `@`: at a fixed threshold): rows are metrics, columns arms."""
    known = [name for name in view.metrics(split) if any(view.scores(arm, name, split) for arm in view.arms)]
    names = [name for name in known if not set(without) & set(name)]
    cells = [(name, [sentences.spread(view.scores(arm, name, split)) for arm in view.arms]) for name in names]
    return Grid(["metric", *[arm.name for arm in view.arms]], cells)


def _classes(view: View) -> Grid | None:
    """The deciding metric of every class (`AP/cell`), or the first that is known by class; None without any."""
    names = [name for name in view.metrics() if "/" in name]
    kinds = list(dict.fromkeys(name.split("/", 1)[0] for name in names))
    if not kinds:
        return None
    kind = view.metric if view.metric in kinds else kinds[0]
    rows = [
        (name.split("/", 1)[1], [sentences.spread(view.scores(arm, name)) for arm in view.arms])
        for name in names
        if name.startswith(f"{kind}/")
    ]
    return Grid([kind, *[arm.name for arm in view.arms]], rows)


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
