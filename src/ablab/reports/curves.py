"""Small panels, one an arm with the baseline in each: training curves, precision against recall, the score shift."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ablab.reports import crowds, numerals
from ablab.reports.canvas import THEME, Drawing, blank, colour, styled, svg
from ablab.reports.view import Arm, Run, View, mean

SIZE = (256, 186)
FIXED = (0.4, 0.5)  # the thresholds at which papers quote F1 without saying why
Line = tuple[np.ndarray, np.ndarray]  # x, y


def training(view: View, column: str) -> list[Drawing]:
    """One column of the training history against the epoch, a panel an arm."""

    def line(run: Run) -> Line | None:
        values = np.array(run.history.get(column, []), np.float64)
        epochs = np.array(run.history.get("epoch", range(1, len(values) + 1)), np.float64)
        seen = np.isfinite(values)
        return (epochs[seen], values[seen]) if seen.sum() > 1 else None

    return _panels(view, f"training-{column}", line, "epoch", column, named=False)  # its name stands above the panels


def histories(view: View) -> list[str]:
    """The columns worth a panel: the loss, and the metric that decides, or else the first metric that was followed."""
    columns = [c for arm in view.arms for run in arm.runs.values() for c in run.history if _points(run.history[c]) > 1]
    followed = [name for metric in (view.metric, *view.metrics()) for name in (f"validation/{metric}", metric)]
    metrics = [name for name in followed if name in columns]
    return [*(["loss"] if "loss" in columns else []), *metrics[:1]]


def _points(values: Sequence[float]) -> int:
    return sum(math.isfinite(value) for value in values)


def precision_recall(view: View) -> list[Drawing]:
    """Precision against recall, the mean over classes, a panel an arm."""

    def line(run: Run) -> Line | None:
        pr = run.curves.get("pr")
        return (_numbers(pr["recall"]), _numbers(pr["mean"])) if pr else None

    return _panels(view, "pr", line, "recall", "precision", unit=True)


def _panels(
    view: View, kind: str, line: Callable[[Run], Line | None], x: str, y: str, *, unit: bool = False, named: bool = True
) -> list[Drawing]:
    """A panel an arm: a band from its lowest to its highest seed, their mean, the baseline's mean. All axes agree."""
    shown = crowds.panels(view)
    lines = {arm.name: [found for run in arm.done().values() if (found := line(run))] for arm in shown}
    if not any(lines.values()):
        return []
    every = [np.concatenate([found[axis] for rows in lines.values() for found in rows]) for axis in (0, 1)]
    limits = [(-0.02, 1.02)] * 2 if unit else [_frame(every[0], 0.02), _frame(every[1], 0.06)]
    drawings = []
    with styled():
        figure, axes = _panel(limits, x, y if named else "")
        for number, arm in enumerate(arm for arm in shown if lines[arm.name]):
            _wipe(axes)
            if arm is not view.baseline and lines[view.baseline.name]:
                axes.plot(*_middle(lines[view.baseline.name]), color=THEME["muted"], lw=1.4, ls=(0, (4, 2)), zorder=2)
            _band(axes, lines[arm.name], colour(view, arm))
            axes.plot(*_middle(lines[arm.name]), color=colour(view, arm), lw=2.2, zorder=4)
            drawings.append(Drawing(svg(figure, f"{kind}-{number}"), f"{arm.name}: {y} against {x}", arm.name))
    return drawings


def score_shift(view: View) -> list[Drawing]:
    """Precision, recall and F1 against the score threshold, a panel an arm.

    The chosen threshold is a line, the fixed ones are dots on F1: where a change shifts the scores, F1 at a fixed
    threshold falls although the best F1 does not.
    """
    shown = crowds.panels(view)
    found = [(arm, rows) for arm in shown if (rows := [run for run in arm.done().values() if run.curves.get("f1")])]
    base = next((rows for arm, rows in found if arm is view.baseline), [])
    with styled():
        panel = _panel([(-0.02, 1.02)] * 2, "score threshold", "")
        return [_shift(view, panel, arm, rows, base, number) for number, (arm, rows) in enumerate(found)]


def _shift(
    view: View, panel: tuple[Any, Any], arm: Arm, rows: Sequence[Run], base: Sequence[Run], number: int
) -> Drawing:
    figure, axes = panel
    _wipe(axes)
    hue = colour(view, arm)
    lines = {name: _middle(_thresholds(rows, name)) for name in ("precision", "recall", "F1")}
    if arm is not view.baseline and base:
        axes.plot(*_middle(_thresholds(base, "F1")), color=THEME["muted"], lw=1.4, ls=(0, (4, 2)), zorder=2)
    _band(axes, _thresholds(rows, "F1"), hue)
    axes.plot(*lines["precision"], color=hue, lw=1.1, zorder=3)
    axes.plot(*lines["recall"], color=hue, lw=1.3, ls=(0, (1, 1.6)), zorder=3)
    axes.plot(*lines["F1"], color=hue, lw=2.4, zorder=4)
    every = [run.record.settings["threshold"] for run in rows if "threshold" in run.record.settings]
    chosen = mean(every)
    if chosen is not None:
        axes.axvspan(min(every), max(every), color=THEME["rule"], alpha=0.5, lw=0, zorder=0)
        axes.axvline(chosen, color=THEME["ink"], lw=1, zorder=1)
    for fixed in FIXED:
        height = float(np.interp(fixed, *lines["F1"]))
        axes.plot([fixed], [height], "o", color=THEME["paper"], ms=6, mec=hue, mew=1.6, zorder=5)
    note = shift_note(view, arm, chosen)
    return Drawing(svg(figure, f"shift-{number}"), f"{arm.name}: {note}", arm.name, note)


def shift_note(view: View, arm: Arm, chosen: float | None) -> str:
    """F1 at the chosen threshold and at the fixed ones, in words."""
    places = {"F1": f"{chosen:.2f} (chosen)"} if chosen is not None else {}
    places |= {f"F1@{fixed:g}": f"{fixed:g}" for fixed in FIXED}
    split = "validation" if view.folder else view.split
    means = {place: mean(list(view.scores(arm, metric, split).values())) for metric, place in places.items()}
    return "F1 " + " · ".join(
        f"{numerals.score(value)} at {place}" for place, value in means.items() if value is not None
    )


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([math.nan if value is None else value for value in values], np.float64)


def _thresholds(rows: Sequence[Run], name: str) -> list[Line]:
    return [(_numbers(run.curves["f1"]["threshold"]), _numbers(run.curves["f1"][name])) for run in rows]


def _at_first(lines: Sequence[Line]) -> tuple[np.ndarray, np.ndarray]:
    """The x of the first line (X,) and every line's height there (L, X); NaN before a line begins and after it ends."""
    x = lines[0][0]
    return x, np.array([np.interp(x, *line, left=math.nan, right=math.nan) for line in lines])


def _middle(lines: Sequence[Line]) -> Line:
    """The mean of lines, at the x of the first; a line that ends before an x has no say there."""
    x, heights = _at_first(lines)
    known = np.isfinite(heights)
    total = np.where(known, heights, 0).sum(0)
    return x, np.divide(total, known.sum(0), out=np.full(len(x), math.nan), where=known.any(0))


def _band(axes: Any, lines: Sequence[Line], hue: str) -> None:
    """From the lowest to the highest of lines, at the x of the first; nothing for one line."""
    x, heights = _at_first(lines)
    known = np.isfinite(heights).any(0)
    if len(lines) > 1 and known.any():
        low, high = np.nanmin(heights[:, known], axis=0), np.nanmax(heights[:, known], axis=0)
        axes.fill_between(x[known], low, high, color=hue, alpha=0.22, lw=0, zorder=3)


def _frame(values: np.ndarray, margin: float) -> tuple[float, float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return low - margin * (high - low or 1), high + margin * (high - low or 1)


def _wipe(axes: Any) -> None:
    """Take out what was drawn, for the next arm: a frame with its ticks costs as much as all that stands in it."""
    for artist in (*axes.lines, *axes.collections, *axes.patches):
        artist.remove()


def _panel(limits: Sequence[tuple[float, float]], x: str, y: str) -> tuple[Any, Any]:
    """A figure and its axes, with their frame, for one panel after the other."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = blank(*SIZE, (44, 10, 8, 38))
    axes.set(xlim=limits[0], ylim=limits[1])
    axes.set_xlabel(x, labelpad=3)
    axes.set_ylabel(y, labelpad=3)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=x == "epoch"))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(True, color=THEME["rule"], lw=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    return figure, axes
