"""Lines over epochs, layers and scores, each named where it ends; and the reliability diagram."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ablab.reports.canvas import PALETTE, SMALL, THEME, Drawing, blank, short, styled, svg
from ablab.reports.figures import few_ticks

SIZE = (300, 190)  # px
WIDE = (440, 240)


def lines(
    x: Sequence[float],
    columns: Mapping[str, Sequence[float]],
    label: str,
    name: str,
    *,
    title: str = "",
    log: bool = False,
    size: tuple[int, int] = SIZE,
) -> Drawing | None:
    """Columns over `x`, the first in ink, named at the right where there are two; None where none has two points."""
    drawn = {key: found for key, column in columns.items() if len((found := _known(x, column, log))[0]) > 1}
    if not drawn:
        return None
    from matplotlib.ticker import MaxNLocator

    with styled():
        figure, axes = blank(*size, (50, 94 if len(drawn) > 1 else 12, 8, 38))
        hues = dict(zip(drawn, [THEME["ink"], *PALETTE], strict=False))
        for key, (places, values) in drawn.items():
            axes.plot(places, values, color=hues.get(key, THEME["muted"]), lw=2, zorder=3)
        axes.set_xlabel(label, labelpad=3)
        axes.set_yscale("log" if log else "linear")
        if not log:
            few_ticks(axes)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(True, color=THEME["rule"], lw=0.5, alpha=0.6)
        if len(drawn) > 1:
            _name_ends(
                axes,
                {key: (values[-1], hues.get(key, THEME["muted"])) for key, (_, values) in drawn.items()},
                size[1] - 46,
            )
        said = "; ".join(f"{key} from {values[0]:.3g} to {values[-1]:.3g}" for key, (_, values) in drawn.items())
        return Drawing(svg(figure, name), f"{title or label}: {said}", title)


def _known(x: Sequence[float], column: Sequence[float], log: bool) -> tuple[list[float], list[float]]:
    """The points with a value, which is positive where the axis is logarithmic."""
    kept = [
        (a, b) for a, b in zip(x, column, strict=False) if math.isfinite(a) and math.isfinite(b) and (b > 0 or not log)
    ]
    return [a for a, _ in kept], [b for _, b in kept]


def _name_ends(axes: Any, ends: Mapping[str, tuple[float, str]], height: float) -> None:
    """Names at the right in the order of the lines' last values, pushed apart, each beside its colour."""
    to_share = axes.transScale + axes.transLimits
    axes.figure.canvas.draw_idle()
    places = {key: float(to_share.transform((axes.get_xlim()[1], value))[1]) for key, (value, _) in ends.items()}
    gap, last = 14 / height, -math.inf
    room = 1 - gap * (len(places) - 1)
    for number, key in enumerate(sorted(places, key=lambda key: places[key])):
        last = max(last + gap, min(places[key], room + gap * number))
        at = {"transform": axes.transAxes, "clip_on": False}
        axes.plot([1.02, 1.05], [last, last], color=ends[key][1], lw=3, **at)
        axes.text(1.07, last, short(key, 14), va="center", fontsize=SMALL, **at)


def reliability(bins: Sequence[tuple[float, float, float, tuple[float, float] | None]], name: str) -> Drawing:
    """Precision against score: `bins` are (mean score, precision, detections, interval). A dot's area is its count."""
    score, precision, counts = (np.array([each[k] for each in bins], np.float64) for k in range(3))
    with styled():
        figure, axes = blank(320, 300, (50, 12, 10, 42))
        axes.plot([0, 1], [0, 1], color=THEME["muted"], lw=1, ls=(0, (4, 2)), zorder=1)
        for place, *_, interval in bins:
            if interval:
                axes.plot([place, place], interval, color=PALETTE[0], lw=1.4, alpha=0.6, zorder=2)
        axes.plot(score, precision, color=PALETTE[0], lw=1.2, zorder=3)
        axes.scatter(
            score, precision, 12 + 110 * counts / max(float(counts.max()), 1.0), color=PALETTE[0], lw=0, zorder=4
        )
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="score", ylabel="precision")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(True, color=THEME["rule"], lw=0.5, alpha=0.6)
        said = "; ".join(f"{s:.2f}: {p:.2f}" for s, p in zip(score, precision, strict=True))
        return Drawing(svg(figure, name), f"Precision by score: {said}")


def columns(pairs: Sequence[tuple[float, float]], label: str, name: str, title: str) -> Drawing:
    """Upright bars of counts, such as images by their number of objects."""
    from matplotlib.ticker import MaxNLocator

    places, heights = zip(*pairs, strict=True)
    with styled():
        figure, axes = blank(*SIZE, (50, 12, 8, 38))
        axes.bar(places, heights, 0.8, color=PALETTE[0], alpha=0.75, lw=0)
        axes.set_xlabel(label, labelpad=3)
        axes.set_ylabel("images", labelpad=3)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        said = "; ".join(f"{place:g}: {height:g}" for place, height in pairs[:40])
        return Drawing(svg(figure, name), f"{title}, images by {label}: {said}", title)
