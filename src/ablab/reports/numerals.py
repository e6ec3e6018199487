"""Numbers as every report prints them: scores 0.512, effects +0.031, intervals [−0.012, +0.074]."""

from __future__ import annotations

import math
from collections.abc import Sequence

NOTHING = "–"
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def known(value: float | None) -> bool:
    """Whether there is a number to print."""
    return value is not None and math.isfinite(value)


def score(value: float | None) -> str:
    """A score: `0.512`."""
    return f"{value:.3f}".replace("-", "−") if value is not None and math.isfinite(value) else NOTHING


def fine(value: float | None) -> str:
    """A spread or another small number of the metric's units: `0.0046`."""
    return f"{value:.4f}" if value is not None and math.isfinite(value) else NOTHING


def signed(value: float | None) -> str:
    """A difference of scores: `+0.031`, `−0.031`."""
    return f"{value:+.3f}".replace("-", "−") if value is not None and math.isfinite(value) else NOTHING


def interval(bounds: Sequence[float | None] | None) -> str:
    """An interval of differences: `[−0.012, +0.074]`."""
    if bounds is None or not all(known(bound) for bound in bounds):
        return NOTHING
    return f"[{signed(bounds[0])}, {signed(bounds[1])}]"


def p_value(p: float | None) -> str:
    """A p-value: `0.012`, `< 0.001`."""
    if p is None or not math.isfinite(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def amount(value: float | None) -> str:
    """A count with three significant digits: `1.87 M`, `4.20 G`, `930`."""
    if value is None or not math.isfinite(value):
        return NOTHING
    for size, unit in UNITS:
        if abs(value) >= size * 0.9995:
            scaled = value / size
            digits = 0 if abs(scaled) >= 99.95 else 1 if abs(scaled) >= 9.995 else 2
            return f"{scaled:.{digits}f} {unit}"
    return f"{value:.0f}"


def milliseconds(value: float | None) -> str:
    """A latency in ms, without its unit: `12.3`."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.1f}"


def megabytes(value: float | None) -> str:
    """Memory in MB, without its unit: `1180`."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.0f}"


def duration(seconds: float | None) -> str:
    """A time: `42 s`, `1 min 12 s`, `1 h 04 min`."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def change(new: float | None, old: float | None) -> str:
    """A relative change: `+12%`, `−3.1%`; empty where nothing changes or it is not known."""
    if new is None or old is None or not old or new == old or not math.isfinite(new / old):
        return ""
    percent = 100 * (new / old - 1)
    return f"{percent:+.{0 if abs(percent) >= 9.5 else 1}f}%".replace("-", "−")


def listing(words: Sequence[str]) -> str:
    """Words in a sentence: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def percent(share: float | None) -> str:
    """A probability: `81%`, `< 1%`, `> 99%`; 0% and 100% are not known from a sample."""
    if share is None or not math.isfinite(share):
        return NOTHING
    return "< 1%" if share < 0.01 else "> 99%" if share > 0.99 else f"{100 * share:.0f}%"
