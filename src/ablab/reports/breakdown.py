"""Drawings of descriptive effects: by class and size, and what holds over seeds, over images, over both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ablab.reports import crowds, evidence, numerals
from ablab.reports.canvas import SMALL, THEME, Drawing, blank, colour, short, styled, svg
from ablab.reports.figures import WIDTH, better, difference_axis, effect_axis
from ablab.reports.view import Arm, View

MOST_ROWS = 16  # of a panel: with more classes than that only the table stays legible
SPANS = ("seeds", "images", "both")


def by_part(view: View) -> list[Drawing]:
    """A panel an arm: its effect on every size and class, mean and pointwise interval. All axes agree."""
    parts = [*evidence.sizes(view), *evidence.classes(view)]
    rows = {arm.name: evidence.effects(view, arm, parts) for arm in crowds.panels(view) if arm is not view.baseline}
    found = [row for effects in rows.values() for row in effects]
    if not found or len(parts) > MOST_ROWS:
        return []
    limits = _limits([(row.effect, row.low, row.high) for row in found], 0.0)
    arms = [arm for arm in view.compared if rows.get(arm.name)]
    with styled():
        return [_panel(view, arm, rows[arm.name], limits, f"parts-{number}") for number, arm in enumerate(arms)]


def _panel(view: View, arm: Arm, rows: Sequence[evidence.Effect], limits: tuple[float, float], name: str) -> Drawing:
    hue, step = colour(view, arm), 22
    figure, axes = blank(300, step * len(rows) + 40, (96, 12, 4, 36))
    axes.set(xlim=limits, ylim=(len(rows) - 0.5, -0.5))
    difference_axis(axes, 4)
    axes.set_xlabel(f"effect ({better(view)})")
    for height, row in enumerate(rows):
        _bar(axes, (row.low, row.high), height, hue, 2.4)
        axes.plot([row.effect], [height], "D", color=THEME["paper"], ms=6, mec=hue, mew=1.6, zorder=4)
        place = axes.get_yaxis_transform()
        axes.text(-0.03, height, short(row.label, 14), transform=place, ha="right", va="center", fontsize=SMALL)
    alt = "; ".join(
        f"{row.label} {numerals.signed(row.effect)} {numerals.interval((row.low, row.high))}" for row in rows
    )
    return Drawing(svg(figure, name), f"{arm.name}: {alt}", arm.name)


def spans(view: View) -> Drawing | None:
    """Three intervals an arm: over seeds on these images, over images with these trainings, over both."""
    known = [(arm, arm.population) for arm in view.questions if arm.population and arm.verdict]
    rows = crowds.ends(known, lambda row: row[0].verdict.effect if row[0].verdict else 0.0)
    if not any(math.isfinite(end) for _, found in rows for end in (*found.seeds, *found.both)):
        return None
    step = 78
    ends = [(arm.verdict.effect, *getattr(p, kind)) for arm, p in rows if arm.verdict for kind in SPANS]
    with styled():
        figure, axes = blank(WIDTH, step * len(rows) + 46, (12, 84, 4, 42))
        axes.set(xlim=_limits(ends, view.smallest_interesting), ylim=(len(rows) * step, 0))
        effect_axis(axes, view, 5)
        place = axes.get_yaxis_transform()
        said = []
        for number, (arm, found) in enumerate(rows):
            top = number * step
            axes.text(0, top + 11, short(arm.name, 26), transform=place, weight="bold", va="center")
            for line, kind in enumerate(SPANS):
                height = top + 27 + 15 * line
                _bar(axes, getattr(found, kind), height, colour(view, arm), 3.2 - 0.8 * line)
                axes.text(1.03, height, f"over {kind}", transform=place, va="center", fontsize=SMALL)
                said.append(f"{arm.name}, over {kind}: {numerals.interval(getattr(found, kind))}")
            if arm.verdict:
                axes.plot([arm.verdict.effect] * 2, [top + 21, top + 63], color=THEME["ink"], lw=1, zorder=4)
        note = crowds.arms_said(len(rows), len(known))
        return Drawing(svg(figure, "spans"), "; ".join(said), note=note)


def _bar(axes: Any, ends: tuple[float, float], height: float, hue: str, width: float) -> None:
    """An interval; where it leaves the frame it ends at the frame in an arrow, where it bounds nothing it is absent."""
    low, high = axes.get_xlim()
    if not all(map(math.isfinite, ends)):
        return
    cut = [min(max(end, low), high) for end in ends]
    axes.plot(cut, [height] * 2, color=hue, lw=width, solid_capstyle="butt", zorder=3)
    for end, mark in zip(ends, "<>", strict=True):
        if not low <= end <= high:
            edge = low if end < low else high
            axes.plot([edge], [height], mark, color=hue, ms=6, mew=0, clip_on=False, zorder=4)


def _limits(rows: Sequence[tuple[float, float, float]], band: float) -> tuple[float, float]:
    """Limits that show every mean, zero and the band, and of intervals as much as stays legible."""
    means = [effect for effect, _, _ in rows if math.isfinite(effect)]
    low, high = min([-1.6 * band, *means]), max([1.6 * band, *means])
    reach = 0.75 * ((high - low) or 0.02)
    ends = [end for row in rows for end in row if math.isfinite(end)]
    low, high = max(min([low, *ends]), low - reach), min(max([high, *ends]), high + reach)
    spare = 0.05 * (high - low) or 0.01  # all effects may be equal
    return low - spare, high + spare
