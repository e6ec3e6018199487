"""The report as one self-contained page: no script, nothing fetched, everything escaped.

The template holds the structure, this file what it is filled with. A content policy in the page itself forbids the
browser to fetch anything, so that even a hostile name or caption could not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ablab.config import flatten
from ablab.reports import (
    breakdown,
    crowds,
    curves,
    evidence,
    factorial,
    figures,
    grids,
    looks,
    method,
    numerals,
    sentences,
)
from ablab.reports.canvas import PALETTE, THEME, colour
from ablab.reports.pictures import data_uris
from ablab.reports.sites import becomes
from ablab.reports.view import Arm, Picture, View, day, mean

SIGNS = {"helps": "▲", "hurts": "▼", "equivalent": "=", "undecided": "?"}


def as_page(view: View) -> str:
    """The report as HTML."""
    environment = templates()
    environment.globals.update(
        view=view, numerals=numerals, sentences=sentences, method=method, signs=SIGNS, day=day, becomes=becomes
    )
    environment.globals["colour"] = lambda arm: _variable(view, arm)
    return str(environment.get_template("report.html.j2").render(**_content(view)))


def templates() -> Any:
    """The environment of every page: all is escaped, a name that is not there is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ablab.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(theme=THEME, palette=PALETTE, crowds=crowds)
    return environment


def _content(view: View) -> dict[str, Any]:
    asked = crowds.ends(view.questions, _effect)
    rows = [_row(view, arm) for arm in _rows(view)]
    headline = [metric for metric in evidence.headline(view) if metric[0] != view.metric]
    return {
        "facts": _facts(view),
        "verdicts": rows,
        "verdicts_shown": [rows[0], *crowds.ends(rows[1:], lambda row: _effect(row["arm"]))],
        "asked_shown": asked,
        "compared_shown": crowds.ends(view.compared, _effect),
        "panels_said": crowds.arms_said(len(crowds.panels(view)), len(view.arms)),
        "conclusion": sentences.conclusion(view),
        "curse": sentences.curse(view),
        "effects": figures.effects(view),
        "scores": figures.scores(view),
        "chances": grids.chances(view),
        "looks": looks.looks(view),
        "confirmed": looks.confirmed(view),
        **factorial.content(view),
        "spans": grids.spans(view),
        "spans_drawn": breakdown.spans(view),
        "noise": method.noise(view),
        "resolutions": grids.resolutions(view),
        "judged": sum(arm.verdict is not None for arm in view.effects or view.compared),
        "parts": _parts(view),
        "costs": figures.costs(view),
        "cost_rows": grids.cost(view),
        "fronts": grids.fronts(view),
        "shifts": curves.score_shift(view),
        "precision_recall": curves.precision_recall(view),
        "training": {column: curves.training(view, column) for column in curves.histories(view)},
        "diverged": any(arm.diverged() for arm in view.arms),
        "seed_scores": grids.seed_scores(view),
        "others": _described(view, headline),
        "metrics": grids.metrics(view, view.split),
        "classes": grids.scores(view, evidence.classes(view)) if evidence.classes(view) else None,
        "final": grids.metrics(view, view.final_split, "/@") if view.final_split else None,
        "final_all": grids.metrics(view, view.final_split),
        "pictures": [(arm, kind, found) for arm in view.compared for kind, found in _by_kind(arm).items()],
        "uris": data_uris([picture for arm in view.compared for picture in arm.pictures]),
        "settings": flatten(dict(view.recipe)),
        "waiting_said": [f"{arm.name} seed {seed}" for arm, seed in view.waiting()],
        "runs": [(arm, seed, arm.runs[seed].record) for arm, seed in view.expected() if seed in arm.runs],
        "environments": sentences.environments(view),
        "data": _data(view),
    }


def _facts(view: View) -> list[str]:
    """The line under the title."""
    return [
        f"{view.metric} on {view.split}" if view.split else view.metric,
        sentences.asked_seeds(view),
        f"{len(view.arms)} arms",
        *([view.factorial.get("title", view.design)] if view.design else []),
        f"alpha {view.alpha:g}",
        f"smallest interesting effect ±{view.smallest_interesting:g}",
        *([day(view.created)] if view.created else []),
    ]


def _rows(view: View) -> list[Arm]:
    """The rows of the verdict table: the baseline and what is asked about."""
    return [view.baseline, *view.questions]


def _effect(arm: Arm) -> float:
    return arm.verdict.effect if arm.verdict else 0.0


def _described(view: View, metrics: Sequence[tuple[str, str]]) -> dict[str, Any] | None:
    """Descriptive effects as a table, and what luck alone does to so many."""
    found = grids.effects(view, metrics)
    return {"table": found[0], "said": method.chances(found[1], view)} if found else None


def _parts(view: View) -> dict[str, Any] | None:
    """Effects by size and class: drawn where there are few, and as a table."""
    by_size, by_class = evidence.sizes(view), evidence.classes(view)
    found = _described(view, [*by_size, *by_class])
    kinds = [f"{by_class[0][0].split('/', 1)[0]} of single classes"] if by_class else []
    kinds += ["AP of small, medium and large objects"] if by_size else []
    return {**found, "drawings": breakdown.by_part(view), "kinds": numerals.listing(kinds)} if found else None


def _data(view: View) -> dict[str, list[str]]:
    """{fingerprint of the data: the arms that saw it}."""
    found: dict[str, list[str]] = {}
    for arm, manifest in view.data.items():
        found.setdefault(manifest, []).append(arm)
    return found


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
        "against": "" if view.effects else sentences.against(view, arm),
        "score": mean(list(view.judged_scores(arm).values())),
    }
