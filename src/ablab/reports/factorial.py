"""What a design that combines changes says beside its verdicts: interactions, aliases, additivity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ablab.reports import figures, numerals
from ablab.reports.canvas import PALETTE, SMALL, THEME, Drawing, blank, colour, short, styled, svg
from ablab.reports.grids import Grid
from ablab.reports.view import Arm, View, mean
from ablab.stats import Verdict


def content(view: View) -> dict[str, Any]:
    """What the template shows of the record `factorial`; None for each part that is not there."""
    record = view.factorial
    return {
        "cells": _cells(view) if view.effects else None,
        "interactions": _interactions(record.get("interactions", [])),
        "interaction_drawings": interactions(view),
        "aliases": [row["says"] for row in record.get("aliases", [])],
        "additivity": _additivity(record.get("additivity", [])),
        "additivity_drawn": additivity(view),
    }


def _cells(view: View) -> Grid:
    """Every cell against the baseline: descriptive."""
    rows = [(arm.name, [*_effect(arm.verdict), str(arm.verdict.n)]) for arm in view.arms if arm.verdict]
    return Grid(["arm", "effect against the baseline", "simultaneous interval", "seeds"], rows)


def _effect(verdict: Verdict) -> list[str]:
    return [numerals.signed(verdict.effect), numerals.interval(verdict.simultaneous)]


def _interactions(rows: Sequence[Mapping[str, Any]]) -> Grid | None:
    cells = [
        (
            row["arm"],
            [
                numerals.signed(row["effect"]),
                numerals.interval(row["simultaneous"]),
                numerals.p_value(row["p_holm"]),
                "yes" if row["verdict"] in ("helps", "hurts") else "not shown",
            ],
        )
        for row in rows
    ]
    return Grid(["interaction", "effect", "simultaneous interval", "p (Holm)", "depends"], cells) if rows else None


def interactions(view: View) -> list[Drawing]:
    """A panel a pair whose interaction is estimated: the mean score without and with one, a line for each level of
    the other, and the seeds as dots. Parallel lines: no interaction."""
    cells = [arm for arm in view.arms if arm.kind in ("baseline", "cell")]
    pairs = [tuple(row["changes"]) for row in view.factorial.get("interactions", [])]
    scores = {arm.name: view.judged_scores(arm) for arm in cells}
    seeds = [seed for seed in view.seeds if all(seed in found for found in scores.values())]
    if not pairs or not seeds:
        return []
    levels = {pair: _levels(cells, scores, pair, seeds) for pair in pairs}
    every = [value for found in levels.values() for values in found.values() for value in values]
    low, high = min(every), max(every)
    margin = 0.08 * ((high - low) or 0.02)
    with styled():
        return [
            _interaction(view, pair, levels[pair], (low - margin, high + margin), f"interaction-{number}")
            for number, pair in enumerate(pairs)
        ]


def _levels(
    cells: Sequence[Arm], scores: Mapping[str, Mapping[int, float]], pair: Sequence[str], seeds: Sequence[int]
) -> dict[tuple[bool, bool], list[float]]:
    """{(first is there, second is there): the mean over such cells, one a seed}."""
    found: dict[tuple[bool, bool], list[float]] = {}
    for key in ((False, False), (True, False), (False, True), (True, True)):
        alike = [arm.name for arm in cells if (pair[0] in arm.changes, pair[1] in arm.changes) == key]
        found[key] = [math.fsum(scores[name][seed] for name in alike) / len(alike) for seed in seeds if alike]
    return found


def _interaction(
    view: View,
    pair: Sequence[str],
    levels: Mapping[tuple[bool, bool], Sequence[float]],
    limits: tuple[float, float],
    name: str,
) -> Drawing:
    figure, axes = blank(256, 190, (48, 12, 8, 40))
    axes.set(xlim=(-0.3, 1.3), ylim=limits)
    for second, hue, style in ((False, THEME["ink"], (0, (4, 2))), (True, PALETTE[0], "solid")):
        points = [levels[False, second], levels[True, second]]
        for x, values in enumerate(points):
            axes.plot([x] * len(values), values, "o", color=hue, ms=4, alpha=0.4, mew=0, zorder=3)
        axes.plot([0, 1], [mean(list(values)) for values in points], color=hue, lw=2, ls=style, zorder=4)
    axes.set_xticks([0, 1], [f"without {short(pair[0], 12)}", f"with {short(pair[0], 12)}"])
    axes.set_ylabel(view.metric, labelpad=3)
    figures.few_ticks(axes)
    note = f"Dashed: without {pair[1]}; full: with it."
    return Drawing(svg(figure, name), f"{view.metric} without and with {pair[0]}. {note}", " × ".join(pair), note)


def _additivity(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if not rows:
        return None

    def cell(part: Mapping[str, Any]) -> str:
        return f"{numerals.signed(part['effect'])} {numerals.interval(part['interval'])}"

    table = [(row["arm"], [cell(row[part]) for part in ("predicted", "measured", "departure")]) for row in rows]
    head = ["arm", "predicted if effects add up", "measured", "measured − predicted"]
    return {"table": Grid(head, table), "basis": numerals.listing(list(dict.fromkeys(row["basis"] for row in rows)))}


def additivity(view: View) -> Drawing | None:
    """Predicted beside measured effect of every arm with two changes or more, each with its interval."""
    rows = [row for row in view.factorial.get("additivity", []) if row["measured"]["effect"] is not None]
    if not rows:
        return None
    step = 46
    parts = [(row, row[part]) for row in rows for part in ("predicted", "measured")]
    ends = [x for _, part in parts for x in (part["effect"], *part["interval"]) if x is not None]
    margin = 0.06 * ((max(ends) - min(ends)) or 0.02)
    with styled():
        figure, axes = blank(figures.WIDTH, step * len(rows) + 46, (12, 76, 4, 42))
        axes.set(xlim=(min(*ends, 0) - margin, max(*ends, 0) + margin), ylim=(len(rows) * step, 0))
        figures.effect_axis(axes, view, 5)
        place = axes.get_yaxis_transform()
        for number, row in enumerate(rows):
            top = number * step
            axes.text(0, top + 10, short(row["arm"], 40), transform=place, weight="bold", va="center")
            hue = colour(view, view.arm(row["arm"]))
            for part, height, style in (("predicted", 24, THEME["muted"]), ("measured", 36, hue)):
                low, high = row[part]["interval"]
                if low is not None and high is not None:
                    axes.plot([low, high], [top + height] * 2, color=style, lw=2.4, solid_capstyle="butt", zorder=3)
                axes.plot(
                    [row[part]["effect"]], [top + height], "D", color=THEME["paper"], ms=6, mec=style, mew=1.6, zorder=4
                )
                axes.text(1.03, top + height, part, transform=place, va="center", fontsize=SMALL, color=THEME["muted"])
        said = "; ".join(
            f"{row['arm']}: predicted {numerals.signed(row['predicted']['effect'])}, measured "
            f"{numerals.signed(row['measured']['effect'])}"
            for row in rows
        )
        return Drawing(svg(figure, "additivity"), said)
