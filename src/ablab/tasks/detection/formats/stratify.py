"""Images dealt to parts so that every part has its share of every class: iterative stratification.

Sechidis, Tsoumakas and Vlahavas 2011, "On the stratification of multi-label data", algorithm 1: the class with the
fewest images left is dealt first, each image to the part that still lacks most of the class. Ours deals units (one
image, or several that must stay together) and never fills a part beyond its number of images while another has room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def deal(counts: np.ndarray, sizes: np.ndarray, shares: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """The part of each unit.  -> (U,) int64

    counts (U, C): how many of a unit's images hold a class; with C = 0 the units are dealt by chance alone. sizes (U,)
    are images a unit, shares are the parts' and sum to 1. Large units go first, so that small ones can even out.
    """
    table = _Table(counts.sum(0), int(sizes.sum()), shares)
    luck = rng.random((len(sizes), len(shares))).tolist()
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    holds = [np.flatnonzero(row).tolist() for row in counts]
    waiting = [[unit for unit in order.tolist() if counts[unit, label]] for label in range(counts.shape[1])]
    left = counts.sum(0).astype(np.int64)
    part = np.full(len(sizes), -1, np.int64)

    def seat(unit: int, label: int | None) -> None:
        part[unit] = table.seat(label, int(sizes[unit]), luck[unit])
        for held in holds[unit]:
            table.lacking[part[unit]][held] -= counts[unit, held]
            left[held] -= counts[unit, held]

    while (left > 0).any():
        label = int(np.where(left > 0, left, np.iinfo(np.int64).max).argmin())
        for unit in waiting[label]:
            if part[unit] < 0:
                seat(unit, label)
    for unit in order.tolist():
        if part[unit] < 0:
            seat(unit, None)
    return part


def seats(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers in the proportion of the shares that add up to `total` (largest remainder)."""
    exact = [share * total for share in shares]
    whole = [int(number + 1e-9) for number in exact]
    last = sorted(range(len(shares)), key=lambda part: whole[part] - exact[part])
    for part in last[: total - sum(whole)]:
        whole[part] += 1
    return whole


@dataclass
class _Table:
    """What each part still lacks: of each class, and of images at all."""

    lacking: list[list[float]]
    room: list[int]

    def __init__(self, totals: np.ndarray, images: int, shares: Sequence[float]) -> None:
        self.lacking = [[share * total for total in totals.tolist()] for share in shares]
        self.room = seats(images, shares)

    def seat(self, label: int | None, size: int, luck: Sequence[float]) -> int:
        """The part that a unit goes to: with room, lacking most of the label, then of all images, then by chance."""
        parts = range(len(self.room))
        roomy = [p for p in parts if self.room[p] >= size] or [max(parts, key=lambda p: (self.room[p], luck[p]))]
        lacks = [0.0 if label is None else round(self.lacking[p][label], 9) for p in parts]
        chosen = max(roomy, key=lambda p: (lacks[p], self.room[p], luck[p]))
        self.room[chosen] -= size
        return chosen
