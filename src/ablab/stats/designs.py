"""Two-level factorial designs with seeds as blocks: which cells are trained, what they estimate, what is aliased.

A change is a factor: -1 without it, +1 with it. A cell is a combination of levels; the first is the baseline (all -1).
Under one seed every cell is trained once, and an effect is a contrast of that seed's cells:

    effect(term)_s = mean of M over the cells of sign +1  -  mean over those of sign -1,    sign = product of the levels

so that whatever a seed does to all cells cancels, and the n contrasts go through the paired t like any differences: no
equal noise over cells is assumed. An interaction is on Montgomery's scale: half of what one change's effect grows by
when the other is there. With N cells a contrast has the variance 4 / N of one run's, a difference of two arms 2.

    | changes | cells | generators                            | resolution |
    |---------|-------|---------------------------------------|------------|
    | 2 to 4  | 2^K   | -                                     | full       |
    | 5       | 16    | E = -ABCD                             | V          |
    | 6       | 16    | E = ABC, F = BCD                      | IV         |
    | 7       | 16    | E = ABC, F = BCD, G = ACD             | IV         |
    | 8       | 16    | E = BCD, F = ACD, G = ABC, H = ABD    | IV         |

Of the two halves of 2^(5-1), I = ABCDE and I = -ABCDE, it is the second that holds the baseline.

Sources: Box, Hunter & Hunter, "Statistics for Experimenters"; Montgomery, "Design and Analysis of Experiments":
two-level factorials, their fractions and alias tables; NIST/SEMATECH e-Handbook of Statistical Methods, 5.3.3.4.7.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ablab.errors import ConfigError
from ablab.stats.judging import judge
from ablab.stats.paired import compare, interval
from ablab.stats.verdicts import Range, Scores, Verdict

Term = tuple[int, ...]  # factors in ascending order; () is the mean

FEWEST_FACTORS, MOST_FACTORS = 2, 8
GENERATORS: Mapping[int, tuple[tuple[int, Term], ...]] = {
    5: ((-1, (0, 1, 2, 3)),),
    6: ((1, (0, 1, 2)), (1, (1, 2, 3))),
    7: ((1, (0, 1, 2)), (1, (1, 2, 3)), (1, (0, 2, 3))),
    8: ((1, (1, 2, 3)), (1, (0, 2, 3)), (1, (0, 1, 2)), (1, (0, 1, 3))),
}


@dataclass(frozen=True)
class Layout:
    """The cells (N, K) of -1 and +1 in standard order, the first factor changing fastest, and the defining relation.

    `words` {term: sign} are the products of columns that are the same in every cell, without I itself.
    """

    cells: NDArray[np.int8]
    words: Mapping[Term, int]

    @property
    def resolution(self) -> int | None:
        """The length of the shortest word; None for a full factorial, where nothing is aliased."""
        return min(map(len, self.words), default=None)

    @property
    def estimates_interactions(self) -> bool:
        """Whether no two-factor interaction is aliased with another or with a main effect (resolution V or more)."""
        return self.resolution is None or self.resolution >= 5

    def signs(self, term: Term) -> NDArray[np.int8]:
        """The contrast (N,) of a term: the product of its factors' columns."""
        return self.cells[:, list(term)].prod(axis=1, dtype=np.int8)

    def aliases(self, term: Term) -> list[Term]:
        """The terms whose contrast is this one's or its negative: the term times each word, shortest first."""
        return sorted((_product(term, word) for word in self.words), key=lambda each: (len(each), each))

    def alias_sets(self) -> list[tuple[Term, ...]]:
        """Two-factor interactions that share one contrast, a set each; those that stand alone are left out."""
        sets = {
            tuple(sorted([pair, *(each for each in self.aliases(pair) if len(each) == 2)])): None
            for pair in combinations(range(self.cells.shape[1]), 2)
        }
        return [each for each in sets if len(each) > 1]


def layout(factors: int) -> Layout:
    """The design for so many changes: full for 2 to 4, resolution V for 5, resolution IV for 6 to 8.

    Raises ConfigError for another number.
    """
    if not FEWEST_FACTORS <= factors <= MOST_FACTORS:
        raise ConfigError(f"a factorial takes {FEWEST_FACTORS} to {MOST_FACTORS} changes, got {factors}")
    generators = GENERATORS.get(factors, ())
    basic = factors - len(generators)
    levels = (np.arange(2**basic)[:, None] >> np.arange(basic)) & 1
    cells = (2 * levels - 1).astype(np.int8)
    for sign, columns in generators:
        cells = np.column_stack([cells, sign * cells[:, list(columns)].prod(axis=1, dtype=np.int8)])
    words: dict[Term, int] = {(): 1}
    for number, (sign, columns) in enumerate(generators):
        own = (*columns, basic + number)
        words |= {_product(word, own): sign * other for word, other in words.items()}
    return Layout(cells.astype(np.int8), {word: sign for word, sign in words.items() if word})


def _product(one: Term, other: Term) -> Term:
    """The product of two terms: a factor that stands in both is squared and vanishes."""
    return tuple(sorted(set(one) ^ set(other)))


def halves(scores: Mapping[str, Scores], cells: Sequence[str], signs: Sequence[int]) -> tuple[Scores, Scores]:
    """{seed: mean over the cells of sign +1} and {seed: mean over the others}; None under a seed that lacks a cell."""
    seeds = sorted({seed for cell in cells for seed in scores[cell]})
    sides: tuple[dict[int, float | None], dict[int, float | None]] = ({}, {})
    for seed in seeds:
        values = [scores[cell].get(seed) for cell in cells]
        known = [value for value in values if value is not None and math.isfinite(value)]
        for side, wanted in zip(sides, (1, -1), strict=True):
            picked = [value for value, sign in zip(known, signs, strict=False) if sign == wanted]
            side[seed] = math.fsum(picked) / len(picked) if len(known) == len(cells) else None
    return sides


def effects(
    scores: Mapping[str, Scores],
    cells: Sequence[str],
    contrasts: Mapping[str, tuple[Sequence[int], str]],
    *,
    direction: Literal["max", "min"] = "max",
    smallest_interesting: float,
    alpha: float = 0.05,
) -> list[Verdict]:
    """One verdict a contrast {name: (signs (N,), name of the other half)}: one family of Holm's.

    `cells` names the arms of `scores` in the order of the signs. A seed counts where it has every cell; the verdicts'
    qualifiers count the others. Raises ConfigError as `judge` does.
    """
    table: dict[str, Scores] = {}
    for name, (signs, other) in contrasts.items():
        table[name], table[other] = halves(scores, cells, signs)
    against = {name: other for name, (_, other) in contrasts.items()}
    return judge(table, against, direction=direction, smallest_interesting=smallest_interesting, alpha=alpha)


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and its 1 - alpha interval (pointwise, paired t), in the metric's units; NaN at no seed."""

    effect: float
    interval: Range


@dataclass(frozen=True)
class Additivity:
    """Changes together: the sum of what each does apart, what they do together, and the difference, over `n` seeds."""

    n: int
    predicted: Estimate
    measured: Estimate
    departure: Estimate


def additivity(
    arm: Scores, baseline: Scores, parts: Sequence[tuple[Scores, Scores]], alpha: float = 0.05
) -> Additivity:
    """Predicted-additive against measured, over the seeds that every side has.

        measured_s = M(arm) - M(baseline)    predicted_s = sum over parts of (M(with) - M(without))

    `departure` is measured - predicted: below 0 the changes do less together than the sum of their effects.
    """
    sides = [arm, baseline, *(side for part in parts for side in part)]
    seeds = [seed for seed in sorted(arm) if all(_known(side.get(seed)) for side in sides)]
    values = np.array([[side[seed] for seed in seeds] for side in sides], dtype=np.float64).reshape(len(sides), -1)
    measured = values[0] - values[1]
    predicted = (values[2::2] - values[3::2]).sum(axis=0)
    return Additivity(len(seeds), *(_estimate(each, alpha) for each in (predicted, measured, measured - predicted)))


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _estimate(differences: NDArray[np.float64], alpha: float) -> Estimate:
    comparison = compare(differences)
    low, high = interval(comparison, alpha)
    return Estimate(float(comparison.effect), (float(low), float(high)))


def contrast_noise(cells: int) -> float:
    """The sd over seeds of a factorial's contrast, in units of sd(d), the sd of a difference of two arms.

    Equal noise and equal correlation of all arms are assumed, for planning alone: sqrt(4 / N) / sqrt(2). At N runs in
    all, a main effect's variance is 2 / (K + 1) of one-at-a-time's.
    """
    return math.sqrt(2 / cells)
