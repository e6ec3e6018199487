"""A learning rate range test as a picture that stands alone."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ablab.reports.canvas import FONT, PALETTE, SMALL, THEME, blank, styled

SIZE = (560, 300)  # px


def rate_picture(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], marks: Mapping[str, float]
) -> bytes:
    """The losses (K,) of a range test against its rates (K,) as PNG bytes; `marks` are named rates."""
    buffer = io.BytesIO()
    with styled():
        figure = rate_figure(rates, losses, smoothed, marks)
        figure.savefig(buffer, format="png", dpi=144, facecolor=THEME["paper"], metadata={"Software": None})
    return buffer.getvalue()


def rate_figure(
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    marks: Mapping[str, float],
    size: tuple[int, int] = SIZE,
) -> Any:
    """Single losses as dots, the smoothed loss as a line, a vertical line a mark; cut where the loss ran away."""
    figure, axes = blank(*size, (52, 16, 26, 42))
    axes.plot(rates, losses, ".", color=THEME["muted"], ms=3, alpha=0.6, zorder=2)
    axes.plot(rates, smoothed, color=THEME["ink"], lw=2.2, zorder=4)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda rate, _: f"{rate:g}")
    axes.set_ylim(*_limits(np.asarray(smoothed, np.float64)))
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    for number, (name, rate) in enumerate(sorted(marks.items(), key=lambda mark: mark[1])):
        hue = PALETTE[number % len(PALETTE)]
        left = np.log(rate / rates[0]) > 0.6 * np.log(rates[-1] / rates[0])  # the name would run off the paper
        axes.axvline(rate, color=hue, lw=1.6, ls=(0, (4, 2)), zorder=3)
        axes.annotate(
            f"{name} {rate:.2g}",
            (rate, 1 - 0.07 * number),
            (-3 if left else 3, 0),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            color=THEME["ink"],  # a name in a pale hue could not be read
            ha="right" if left else "left",
            fontsize=SMALL if len(marks) > 2 else FONT,
        )
    return figure


def _limits(smoothed: np.ndarray) -> tuple[float, float]:
    """From a little below the least value to a little above where it began: how far it broke away is of no interest."""
    low, top = float(smoothed.min()), float(smoothed[: max(1, int(smoothed.argmin()) + 1)].max())
    room = (top - low or abs(low) or 1.0) * 0.25
    return low - room, top + 2 * room
