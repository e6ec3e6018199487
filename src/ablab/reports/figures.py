"""The figures that carry the verdicts: effects, scores, and accuracy against cost. Raw seed points stand in each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ablab.reports import crowds, front, numerals, sentences
from ablab.reports.canvas import FONT, SMALL, THEME, Drawing, blank, colour, short, styled, svg
from ablab.reports.view import Arm, View
from ablab.stats import Verdict

WIDTH = 440


def effects(view: View) -> Drawing | None:
    """Per arm, or main effect of a factorial: the differences, their mean, the simultaneous interval, and the band.

    An interval that would squeeze the others is cut at the frame and ends in an arrow; its numbers stand beside it.
    """
    known = [(arm, arm.verdict) for arm in view.questions if arm.verdict and arm.verdict.n]
    if not known:
        return None
    rows = crowds.ends(known, lambda row: row[1].effect)
    note = crowds.arms_said(len(rows), len(known)) + crowds.seeds_said(max(verdict.n for _, verdict in rows))
    step = 52
    with styled():
        figure, axes = blank(WIDTH, step * len(rows) + 46, (12, 16, 4, 42))
        low, high = _range(view, rows)
        axes.set(xlim=(low, high), ylim=(len(rows) * step, 0))
        effect_axis(axes, view, 5)
        for number, (arm, verdict) in enumerate(rows):
            _effect(axes, view, arm, verdict, number * step)
        axes.set_xlabel(f"effect on {view.metric}, arm − {_others(view)} ({better(view)})")
        alt = "; ".join(
            f"{arm.name} {numerals.signed(v.effect)} {numerals.interval(v.simultaneous)}" for arm, v in rows
        )
        return Drawing(svg(figure, "effects"), f"Effects with simultaneous intervals: {alt}", note=note)


def _range(view: View, rows: Sequence[tuple[Arm, Verdict]]) -> tuple[float, float]:
    """Limits that show every finished seed, zero and the band, and of intervals and means as much as stays legible."""
    band = 1.6 * view.smallest_interesting
    points = [d for arm, v in rows for seed, d in v.differences.items() if seed not in arm.lost]
    low, high = min([-band, *points]), max([band, *points])
    ends = [end for _, v in rows for end in (*v.simultaneous, v.effect) if math.isfinite(end)]
    reach = 0.75 * (high - low)
    low, high = max(min([low, *ends]), low - reach), min(max([high, *ends]), high + reach)
    return _widen(low, high)


def _widen(low: float, high: float, share: float = 0.05) -> tuple[float, float]:
    margin = share * ((high - low) or 0.02)
    return low - margin, high + margin


def _mark(
    axes: Any, values: Sequence[float], at: float, marker: str, hue: str, size: float, across: str = "x", **style: Any
) -> None:
    """Markers in a row `at`, and, for what lies outside the frame in the direction `across`, an arrowhead there."""
    low, high = axes.get_xlim() if across == "x" else axes.get_ylim()
    inside = [value for value in values if low <= value <= high]

    def draw(along: Sequence[float], form: str, **how: Any) -> None:
        places = (along, [at] * len(along)) if across == "x" else ([at] * len(along), along)
        axes.plot(*places, form, color=hue, zorder=4, **how)

    if inside:
        draw(inside, marker, ms=size, **style)
    arrows = {"x": "<>", "y": "v^"}[across]
    for edge, arrow, outside in ((low, arrows[0], min(values) < low), (high, arrows[1], max(values) > high)):
        if outside:
            draw([edge], arrow, ms=size + 1, mew=0, clip_on=False)


def effect_axis(axes: Any, view: View, ticks: int) -> None:
    """A horizontal axis of differences in the metric that decides: as `difference_axis`, and the band around zero."""
    difference_axis(axes, ticks)
    axes.axvspan(-view.smallest_interesting, view.smallest_interesting, color=THEME["band"], lw=0, zorder=0)
    axes.set_xlabel(f"effect on {view.metric} ({better(view)})")


def difference_axis(axes: Any, ticks: int) -> None:
    """A horizontal axis of differences: zero and signed ticks."""
    axes.axvline(0, color=THEME["muted"], lw=1, zorder=1)
    axes.xaxis.set_major_formatter(lambda value, _: "0" if abs(value) < 1e-9 else f"{value:+.3g}".replace("-", "−"))
    axes.xaxis.set_major_locator(_ticks(ticks))
    _no_left_axis(axes)


def _others(view: View) -> str:
    """What the arms were compared with: the baseline, or each with its own."""
    return "its reference" if any(sentences.against(view, arm) for arm in view.questions) else "baseline"


def _effect(axes: Any, view: View, arm: Arm, verdict: Verdict, top: float) -> None:
    """One row: its words on the first line, interval and mean on the second, seeds below it."""
    hue, (left, right) = colour(view, arm), axes.get_xlim()
    words = {"va": "center", "zorder": 5}
    place = axes.get_yaxis_transform()
    other = "" if arm in view.effects else sentences.against(view, arm)
    name = f"{short(arm.name, 16)} − {short(other, 14)}" if other else arm.name
    axes.text(0, top + 11, short(name, 32), transform=place, weight="bold", **words)
    numbers = f"{numerals.signed(verdict.effect)} {numerals.interval(verdict.simultaneous)}"
    axes.text(1, top + 11, numbers, transform=place, ha="right", **words)
    if verdict.n > 1:
        ends = [min(max(end, left), right) for end in verdict.simultaneous]
        axes.plot(ends, [top + 28] * 2, color=hue, lw=3, solid_capstyle="butt", zorder=3)
        for end in verdict.simultaneous:
            if not left <= end <= right:
                _mark(axes, [end], top + 28, "", hue, 8)
    if left <= verdict.effect <= right:
        _mark(axes, [verdict.effect], top + 28, "D", THEME["paper"], 8, mec=hue, mew=2)
    _seeds(axes, arm, verdict.differences, top + 41, hue, 5)


def _seeds(axes: Any, arm: Arm, found: Mapping[int, float], at: float, hue: str, size: float) -> None:
    """A row of seeds: dots, and crosses for those that diverged."""
    drawn = crowds.dots(dict(found))
    for marker, values in (
        ("o", [value for seed, value in drawn.items() if seed not in arm.lost]),
        ("X", [value for seed, value in drawn.items() if seed in arm.lost]),
    ):
        if values:
            _mark(axes, values, at, marker, hue, size, alpha=0.8, mew=0)


def scores(view: View) -> Drawing | None:
    """Per arm: the score of every seed, one line a seed through all arms, and the mean as a stroke."""
    known = [(arm, found) for arm in view.arms if (found := view.judged_scores(arm))]
    if not known:
        return None
    others = crowds.ends(known[1:], lambda row: math.fsum(row[1].values()) / len(row[1]), crowds.ARMS - 1)
    rows = [known[0], *others]  # the baseline, where it has scores
    most = max(len(found) for _, found in rows)
    note = crowds.arms_said(len(rows), len(known)) + crowds.seeds_said(most)
    note += f"Lines: {crowds.LINES} of the seeds." if len(view.seeds) > crowds.LINES else ""
    step, gutter = 34, 118
    with styled():
        figure, axes = blank(WIDTH, step * len(rows) + 50, (gutter, 100, 6, 42))
        axes.set(xlim=_limits(view, rows), ylim=(len(rows) - 0.5, -0.5))
        for seed in crowds.thinned(view.seeds, crowds.LINES):
            line = [(found[seed], number) for number, (_, found) in enumerate(rows) if seed in found]
            axes.plot(*zip(*line, strict=True), color=THEME["rule"], lw=1, zorder=1) if line else None
        for number, (arm, found) in enumerate(rows):
            hue, place = colour(view, arm), axes.get_yaxis_transform()
            _seeds(axes, arm, found, number, hue, 6)
            centre = math.fsum(found.values()) / len(found)
            axes.plot([centre, centre], [number - 0.3, number + 0.3], color=hue, lw=2.4, zorder=4)
            axes.text(-0.03, number, short(arm.name, 16), transform=place, ha="right", va="center", weight="bold")
            axes.text(1.04, number, sentences.spread(found), transform=place, va="center")
        axes.set_xlabel(f"{view.metric} on {view.split} ({better(view)})")
        axes.xaxis.set_major_locator(_ticks(4))
        _no_left_axis(axes)
        alt = "; ".join(f"{arm.name} {sentences.spread(found)}" for arm, found in rows)
        return Drawing(svg(figure, "scores"), f"{view.metric} of every seed: {alt}", note=note)


def _limits(view: View, rows: Sequence[tuple[Arm, dict[int, float]]]) -> tuple[float, float]:
    """Limits that show every finished seed; a declared score of a run that diverged may lie outside."""
    points = [score for arm, found in rows for seed, score in found.items() if seed not in arm.lost]
    points = points or [view.on_divergence]
    return _widen(min(points), max(points), 0.08)


def costs(view: View) -> list[Drawing]:
    """Mean score against parameters, and against latency where it was measured: one drawing each.

    A filled diamond is on the front of the means, a hollow one is not. Latency has bars: its spread and the interval.
    """
    kinds = {"parameters": "parameters", "latency_ms": "latency of one image, ms"}
    return [drawing for name, label in kinds.items() if (drawing := _cost(view, name, label))]


def _cost(view: View, name: str, label: str) -> Drawing | None:
    known = [
        (cost, math.fsum(found.values()) / len(found), arm)
        for arm in view.arms
        if (cost := arm.cost(name)) is not None and (found := view.judged_scores(arm))
    ]
    if not known:
        return None
    points = crowds.ends(known, lambda point: point[1])
    note = crowds.arms_said(len(points), len(known)) + crowds.seeds_said(max(len(arm.runs) for _, _, arm in points))
    from matplotlib.ticker import EngFormatter

    with styled():
        height = max(260, 21 * len(points) + 80)
        figure, axes = blank(WIDTH, height, (50, 126, 12, 42))
        axes.set_ylim(_limits(view, [(arm, view.judged_scores(arm)) for _, _, arm in points]))
        axes.set_xlim(_widen(min(cost for cost, _, _ in points), max(cost for cost, _, _ in points), 0.1))
        line = front.members(view, name)
        if len(line) > 1:
            axes.step(*zip(*line, strict=True), where="post", color=THEME["muted"], lw=1, ls=(0, (4, 2)), zorder=1)
        for cost, centre, arm in points:
            seeds = list(crowds.dots(view.scores(arm, view.metric)).values())
            axes.plot([cost] * len(seeds), seeds, "o", color=colour(view, arm), ms=4, alpha=0.4, mew=0)
            _point(
                axes, view, arm, cost, centre, any(math.isclose(cost, x) and math.isclose(centre, y) for x, y in line)
            )
            if name == "latency_ms":
                _bars(axes, view, arm, cost, centre)
        axes.set(xlabel=label, ylabel=view.metric)
        axes.xaxis.set_major_locator(_ticks(3))
        if name != "latency_ms":
            axes.xaxis.set_major_formatter(EngFormatter())  # as many digits as tell two ticks apart
        _name_points(axes, view, points, height - 54)
        alt = "; ".join(f"{arm.name} {cost:g}: {numerals.score(centre)}" for cost, centre, arm in points)
        return Drawing(svg(figure, f"cost-{name}"), f"{view.metric} against {label}: {alt}", note=note)


def _point(axes: Any, view: View, arm: Arm, cost: float, centre: float, front: bool) -> None:
    """An arm's mean: filled on the front, hollow off it."""
    hue = colour(view, arm)
    style = {"mec": THEME["paper"], "mew": 1} if front else {"mfc": THEME["paper"], "mec": hue, "mew": 1.5}
    _mark(axes, [centre], cost, "D", hue, 7 if front else 6, across="y", **style)


def _bars(axes: Any, view: View, arm: Arm, cost: float, centre: float) -> None:
    """Across, the middle half of the measured latencies; up and down, the interval of the arm's difference from the
    baseline, about the baseline's mean."""
    style = {"color": colour(view, arm), "lw": 1.5, "alpha": 0.7, "solid_capstyle": "butt", "zorder": 2}
    spread, verdict = arm.cost("latency_iqr_ms"), arm.verdict
    if spread:
        axes.plot([cost - spread / 2, cost + spread / 2], [centre] * 2, **style)
    base, (low, high) = view.judged_scores(view.baseline), axes.get_ylim()
    if verdict and verdict.n > 1 and base and not sentences.against(view, arm):
        mean = math.fsum(base.values()) / len(base)
        axes.plot([cost] * 2, [min(max(mean + end, low), high) for end in verdict.simultaneous], **style)


def _name_points(axes: Any, view: View, points: Sequence[tuple[float, float, Arm]], height: float) -> None:
    """Names in a column at the right, in the order of height, pushed apart, each with a thin line to its point."""
    low, high = axes.get_ylim()
    gap = (high - low) * 18 / height
    order = sorted(
        ((cost, min(max(centre, low), high), arm) for cost, centre, arm in points), key=lambda point: point[1]
    )
    places: list[float] = []
    for _, centre, _ in order:
        places.append(max(centre, places[-1] + gap) if places else max(centre, low + gap / 2))
    over = places[-1] - (high - gap / 2)
    places = [place - max(0.0, over) for place in places]
    for number in range(len(places) - 2, -1, -1):
        places[number] = min(places[number], places[number + 1] - gap)
    for (cost, centre, arm), place in zip(order, places, strict=True):
        arrow = {"arrowstyle": "-", "color": THEME["rule"], "lw": 0.8, "shrinkA": 0, "shrinkB": 4}
        where = {"xy": (cost, centre), "xytext": (1.04, place), "textcoords": axes.get_yaxis_transform()}
        axes.annotate(
            short(arm.name, 16),
            **where,
            va="center",
            fontsize=FONT,
            weight="bold",
            arrowprops=arrow,
        )


def few_ticks(axes: Any) -> None:
    """At most four ticks on the vertical axis, as many digits as tell them apart."""
    axes.yaxis.set_major_locator(_ticks(4))


def _ticks(most: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most)


def _no_left_axis(axes: Any) -> None:
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.tick_params(axis="x", labelsize=SMALL)


def better(view: View) -> str:
    """Which direction is good, in words."""
    return "higher is better" if view.direction == "max" else "lower is better"
