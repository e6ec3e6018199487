"""What the pictures share beyond the reports' canvas."""

from __future__ import annotations

from typing import Any

TITLE: dict[str, Any] = {"fontsize": 9.5, "loc": "left"}


def logarithmic(axes: Any, *, x: bool = False) -> None:
    """A log scale whose ticks are plain numbers: the canvas does not read formulas, as a name may hold a dollar."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    (axes.set_xscale if x else axes.set_yscale)("log")
    axis = axes.xaxis if x else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
