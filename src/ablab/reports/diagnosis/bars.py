"""Bars that lie: amounts with intervals, and spans of sizes on a scale of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ablab.reports.canvas import PALETTE, SMALL, THEME, Drawing, blank, short, styled, svg
from ablab.reports.figures import WIDTH

STEP = 24  # px a row
GUTTER, RIGHT = 118, 128  # px for the names and for what stands beside a bar
LETTER = 6.8  # px, a little more than a small one takes in the mean


@dataclass(frozen=True)
class Bar:
    """One row: its name, how long it is, an interval about its end, and what is written beside it."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    beside: str = ""
    faint: bool = False


def bars(rows: Sequence[Bar], label: str, name: str, says: str, hue: str = PALETTE[1], gutter: int = GUTTER) -> Drawing:
    """Bars from zero, the names in a `gutter` at the left; `name` is the drawing's own, `label` the axis's."""
    ends = [0.0, *(end for row in rows for end in (row.value, *(row.interval or ())))]
    low, high = min(ends), max(ends)
    room = 0.04 * ((high - low) or 1.0)
    with styled():
        figure, axes = blank(WIDTH, STEP * len(rows) + 44, (gutter, RIGHT, 4, 38))
        axes.set(xlim=(low - room if low < 0 else 0, high + room), ylim=(len(rows) - 0.5, -0.5), xlabel=label)
        for height, row in enumerate(rows):
            axes.barh(height, row.value, 0.62, color=hue, alpha=0.35 if row.faint else 0.75, lw=0, zorder=2)
            if row.interval:
                axes.plot(row.interval, [height] * 2, color=THEME["ink"], lw=1.4, zorder=3)
        axes.axvline(0, color=THEME["muted"], lw=1, zorder=4)
        name_rows(axes, [(row.name, row.beside) for row in rows], gutter)
        axes.xaxis.set_major_formatter("{x:g}")
        return Drawing(svg(figure, name), f"{says}: " + "; ".join(f"{row.name} {row.beside}" for row in rows))


def name_rows(axes: Any, words: Sequence[tuple[str, str]], gutter: int = GUTTER) -> None:
    """Names left of a figure's rows, and what stands beside them at the right."""
    from matplotlib.ticker import MaxNLocator

    place = axes.get_yaxis_transform()
    for height, (name, beside) in enumerate(words):
        axes.text(
            -0.03, height, short(name, int(gutter / LETTER)), transform=place, ha="right", va="center", fontsize=SMALL
        )
        axes.text(1.03, height, beside, transform=place, va="center", fontsize=SMALL)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", left=False, labelleft=False)
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(4))


@dataclass(frozen=True)
class Spread:
    """Sizes in pixels, by quantiles: the outer and the inner range, and the median where it is known."""

    name: str
    outer: tuple[float, float]
    inner: tuple[float, float] | None = None
    median: float | None = None
    beside: str = ""


@dataclass(frozen=True)
class Field:
    """A receptive field in pixels: the theoretical side and the effective one."""

    name: str
    theoretical: float | None
    effective: float | None
    beside: str = ""


def sizes(rows: Sequence[Spread | Field], marks: Sequence[tuple[str, float]], name: str, says: str) -> Drawing:
    """Sizes on one logarithmic axis of pixels of the input; `marks` are upright lines, such as strides.

    The first spread, if it stands with fields, is a band behind all rows.
    """
    with styled():
        figure, axes = blank(WIDTH, (STEP + 6) * len(rows) + 62, (GUTTER, RIGHT, 20, 42))
        axes.set_xscale("log", base=2)
        axes.set(xlim=_limits(rows, marks), ylim=(len(rows) - 0.5, -0.5), xlabel="pixels of the input")
        for height, row in enumerate(rows):
            _field(axes, row, height) if isinstance(row, Field) else _spread(axes, row, height)
        for said, at in marks:
            axes.axvline(at, color=THEME["muted"], lw=1, ls=(0, (2, 2)), zorder=1)
            at_top = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom", "fontsize": SMALL}
            axes.text(at, 1.01, said, color=THEME["muted"], **at_top)
        if any(isinstance(row, Field) for row in rows):
            _behind(axes, [row for row in rows if isinstance(row, Spread)])
        axes.xaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        name_rows(axes, [(row.name, row.beside) for row in rows])
        return Drawing(svg(figure, name), f"{says}: " + "; ".join(f"{row.name} {row.beside}" for row in rows))


def _limits(rows: Sequence[Spread | Field], marks: Sequence[tuple[str, float]]) -> tuple[float, float]:
    ends = [at for _, at in marks]
    for row in rows:
        ends += [row.theoretical or 0, row.effective or 0] if isinstance(row, Field) else row.outer
    known = [end for end in ends if end > 0] or [1.0]
    return min(known) / 1.3, max(known) * 1.3


def _spread(axes: Any, row: Spread, height: int) -> None:
    axes.plot(_positive(row.outer), [height] * 2, color=PALETTE[0], lw=2, solid_capstyle="butt", zorder=3)
    if row.inner:
        axes.plot(_positive(row.inner), [height] * 2, color=PALETTE[0], lw=9, solid_capstyle="butt", zorder=3)
    if row.median and row.median > 0:
        axes.plot([row.median], [height], "|", color=THEME["paper"], ms=11, mew=2.4, zorder=4)


def _positive(ends: tuple[float, float]) -> list[float]:
    return [max(end, 1e-3) for end in ends]


def _field(axes: Any, row: Field, height: int) -> None:
    low = axes.get_xlim()[0]
    for side, alpha, thickness in ((row.theoretical, 0.3, 0.62), (row.effective, 0.85, 0.3)):
        if side and side > low:
            axes.barh(height, side - low, thickness, left=low, color=PALETTE[1], alpha=alpha, lw=0, zorder=2)


def _behind(axes: Any, spreads: Sequence[Spread]) -> None:
    """The objects' inner range, or the outer one, through all rows."""
    for row in spreads[:1]:
        axes.axvspan(*_positive(row.inner or row.outer), color=THEME["band"], lw=0, zorder=0)
