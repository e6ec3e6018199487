"""What a chapter of the page is put together from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ablab.reports.canvas import Drawing
from ablab.reports.grids import Grid


@dataclass(frozen=True)
class Cell:
    """A cell of a heat table: `heat` in 0..1 is its shade, `alarm` marks what is wrong by itself."""

    text: str
    heat: float = 0.0
    alarm: bool = False


@dataclass(frozen=True)
class Heat:
    """A table whose cells are shaded: a head, and groups of rows that begin with their name, each under a title."""

    head: Sequence[str]
    groups: Sequence[tuple[str, Sequence[tuple[str, Sequence[Cell]]]]]


@dataclass(frozen=True)
class Block:
    """A part of a chapter, in the order in which it is shown. `more` is folded away: (what it is, the table)."""

    title: str
    said: str = ""
    drawings: Sequence[Drawing] = ()
    heat: Heat | None = None
    tables: Sequence[Grid] = ()
    note: str = ""
    more: Sequence[tuple[str, Grid]] = ()

    def __bool__(self) -> bool:
        return bool(self.drawings or self.heat or self.tables or self.more)


def cut(
    head: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], most: int
) -> tuple[list[Grid], Sequence[tuple[str, Grid]]]:
    """A table of the first `most` rows, and all of them to be folded away where there are more."""
    shown = [Grid(head, rows[:most])] if rows else []
    return shown, [(f"All {len(rows):,}", Grid(head, rows))] if len(rows) > most else []


def worded(grid: Grid) -> list[bool]:
    """Which columns hold words, and so stand at the left: those with a cell that begins with a letter."""
    return [any(cells[column][:1].isalpha() for _, cells in grid.rows) for column in range(len(grid.head) - 1)]
