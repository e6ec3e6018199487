"""What of many arms, seeds or rows a page shows, and the sentence that says so. Statistics and the JSON have all.

A page of ten thousand runs is read, not only opened: forty rows can be compared, two hundred dots show a distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ablab.reports.view import Arm, View, mean

ARMS = 40  # rows of a figure and of what stands open in a list
PANELS = 24  # of a kind
DOTS = 200  # of an arm
LINES = 60  # through all arms
SEEDS = 40  # columns of a table
ROWS = 200  # of a table that stands open
RUNS = 1000  # rows of the table of hashes

T = TypeVar("T")


def ends(rows: Sequence[T], value: Callable[[T], float], most: int = ARMS) -> list[T]:
    """All rows as they stand; of more than `most` half from the highest and half from the lowest, the highest first."""
    if len(rows) <= most:
        return list(rows)
    order = sorted(rows, key=value, reverse=True)
    return [*order[: most - most // 2], *order[len(order) - most // 2 :]]


def thinned(rows: Sequence[T], most: int) -> list[T]:
    """At most so many rows, evenly spaced, the first and the last among them."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(place * (len(rows) - 1) / (most - 1))] for place in range(most)]


def dots(found: dict[int, float]) -> dict[int, float]:
    """What is drawn of values by seed: all, or `DOTS` evenly spaced by rank, the lowest and the highest among them."""
    if len(found) <= DOTS:
        return found
    return dict(thinned(sorted(found.items(), key=lambda item: item[1]), DOTS))


def panels(view: View) -> list[Arm]:
    """The arms that get a panel: the baseline, and the others by their effect, or where there is none their score."""

    def value(arm: Arm) -> float:
        return arm.verdict.effect if arm.verdict else mean(list(view.judged_scores(arm).values())) or 0.0

    others = ends(view.compared, value, PANELS - 1)
    return [view.baseline, *others] if len(others) < len(view.compared) else list(view.arms)


def arms_said(shown: int, known: int, what: str = "arms") -> str:
    """Which arms are shown; empty where all are."""
    return (
        "" if shown == known else f"Shown: the highest and the lowest, {shown} of {known} {what}; report.csv has all. "
    )


def seeds_said(known: int, most: int = DOTS, what: str = "Drawn") -> str:
    """How many seeds are drawn; empty where all are."""
    if known <= most:
        return ""
    spaced = ", evenly spaced by rank, the lowest and the highest among them" if most == DOTS else ""
    return f"{what}: {most} of {known} seeds an arm{spaced}; every figure in words or numbers uses all. "


def some(words: Sequence[str], most: int = ARMS) -> list[str]:
    """Words for a listing, the last of which counts what is left out: `a`, `b`, `38 more`."""
    return list(words) if len(words) <= most else [*words[: most - 1], f"{len(words) - most + 1} more"]


def numbers(values: Sequence[int]) -> str:
    """Numbers as they stand, or where they are many as ranges: `1, 2, 3`; `0 to 499`; `0 to 99, 200`."""
    if len(values) <= SEEDS:
        return ", ".join(map(str, values))
    ranges: list[list[int]] = []
    for value in values:
        if ranges and value == ranges[-1][-1] + 1:
            ranges[-1] = [ranges[-1][0], value]
        else:
            ranges.append([value])
    return ", ".join(some([" to ".join(map(str, ends)) for ends in ranges]))
