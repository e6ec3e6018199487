"""A few lines of plain text in columns, for what is said while a study runs."""

from __future__ import annotations

from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(f"  {line}".rstrip() for line in lines)


def signed(value: float | None) -> str:
    """An effect with its sign, "-" where it is unknown."""
    return "-" if value is None else f"{value:+.4f}"
