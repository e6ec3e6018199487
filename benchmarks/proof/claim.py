"""What an item of the proof says: its cells, each with its figure, its limit, and whether it is within."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import bdtr


@dataclass(frozen=True)
class Cell:
    """One measured figure; `limit` is in words. `known` names why a cell may be outside: the docs say it too."""

    name: str
    figure: str
    limit: str
    holds: bool
    known: str = ""


@dataclass(frozen=True)
class Proof:
    """One item: what is claimed, how it was measured, its cells and, where it has one, a table of its own."""

    title: str
    how: str
    cells: Sequence[Cell]
    text: str = ""
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def outside(self) -> list[Cell]:
        """Cells that exceed their limit."""
        return [cell for cell in self.cells if not cell.holds]

    def markdown(self) -> str:
        """The item as a section: how, the table, and what is outside."""
        rows = [f"| {c.name} | {c.figure if c.holds else f'**{c.figure}**'} | {c.limit} |" for c in self.cells]
        table = self.text or "\n".join(["| cell | figure | limit |", "|---|---|---|", *rows])
        said = f"{len(self.cells) - len(self.outside)} of {len(self.cells)} cells are within their limits."
        why = [f"- {cell.name}: {cell.figure}" + (f" ({cell.known})" if cell.known else "") for cell in self.outside]
        parts = [self.how, table, said + (" Outside:" if why else ""), *(["\n".join(why)] if why else []), *self.notes]
        return "\n\n".join(parts)


def most(trials: int, level: float) -> int:
    """The smallest count that a procedure of exactly `level` stays within in 99 of 100 simulations."""
    return int(np.argmax(bdtr(np.arange(trials + 1), trials, level) >= 0.99))


def at_most(name: str, count: int, trials: int, level: float, known: str = "") -> Cell:
    """A rate of false claims, held against `level` and the simulation's own error."""
    limit = most(trials, level)
    return Cell(name, f"{count / trials:.2%}", f"{level:.1%}: at most {limit:,} of {trials:,}", count <= limit, known)


def covers(name: str, count: int, trials: int, nominal: float = 0.95) -> Cell:
    """A coverage, held against nominal - 2 standard errors of the simulation."""
    least = nominal - 2 * (nominal * (1 - nominal) / trials) ** 0.5
    return Cell(name, f"{count / trials:.2%}", f"at least {least:.2%} ({trials:,} studies)", count / trials >= least)
