"""Fields of a diagnosis that may be missing: every reading may have failed, and then its place in the page is empty.

Nothing here raises: what is absent, null or of another kind comes back as nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ablab.reports import numerals


def inside(value: Any, *path: str | int) -> Any:
    """What stands at a path of keys and places, or None."""
    for key in path:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, Sequence) and not isinstance(value, str) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def number(value: Any, *path: str | int) -> float | None:
    """A finite number, or None."""
    found = inside(value, *path)
    plain = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if plain and math.isfinite(found) else None


def text(value: Any, *path: str | int) -> str:
    """A text, or an empty one."""
    found = inside(value, *path)
    return found if isinstance(found, str) else ""


def items(value: Any, *path: str | int) -> list[Any]:
    """A list, or an empty one."""
    found = inside(value, *path)
    return list(found) if isinstance(found, list | tuple) else []


def rows(value: Any, *path: str | int) -> list[Mapping[str, Any]]:
    """The mappings in a list."""
    return [row for row in items(value, *path) if isinstance(row, Mapping)]


def table(value: Any, *path: str | int) -> Mapping[str, Any]:
    """A mapping, or an empty one."""
    found = inside(value, *path)
    return found if isinstance(found, Mapping) else {}


def numbers(value: Any, *path: str | int) -> list[float]:
    """A list of numbers, NaN where one is not known."""
    return [math.nan if (found := number(each)) is None else found for each in items(value, *path)]


def pair(value: Any, *path: str | int) -> tuple[float, float] | None:
    """Two finite numbers, or None."""
    found = numbers(value, *path)
    return (found[0], found[1]) if len(found) == 2 and all(map(math.isfinite, found)) else None


def pairs(value: Any, *path: str | int) -> list[tuple[float, float]]:
    """The pairs of finite numbers in a list."""
    return [found for each in items(value, *path) if (found := pair(each)) is not None]


def count(value: Any, *path: str | int) -> str:
    """A whole number as text: `1,204`."""
    found = number(value, *path)
    return numerals.NOTHING if found is None else f"{found:,.0f}"


def share(value: Any, *path: str | int) -> str:
    """A share of something counted: `12%`, `0.4%`, `0%`."""
    found = number(value, *path)
    if found is None:
        return numerals.NOTHING
    percent = 100 * found
    return f"{percent:.{1 if 0 < abs(percent) < 9.95 else 0}f}%".replace("-", "−")


def plain(value: Any, *path: str | int) -> str:
    """A number of any size in a few digits: `0.0031`, `212`, `1.2e+06`."""
    found = number(value, *path)
    if found is None:
        return numerals.NOTHING
    return f"{found:,.0f}" if found == round(found) and abs(found) < 1e6 else f"{found:.3g}".replace("-", "−")


def span(value: Any, *path: str | int) -> str:
    """An interval of something that is no difference: ` [0.31, 0.42]`, with its blank; empty where there is none."""
    found = pair(value, *path)
    return f" [{found[0]:.3g}, {found[1]:.3g}]".replace("-", "−") if found else ""
