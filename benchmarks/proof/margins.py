"""3 and 4. What EQUIVALENT and the printed detectable effect are worth, for normal differences."""

from __future__ import annotations

from itertools import product

import numpy as np

from ablab.stats import compare, equivalent, holm, smallest_detectable
from ablab.streams import stream
from proof.claim import Cell, Proof, at_most

ALPHA, SEEDS = 0.05, (3, 5, 10)


def false_equivalent(studies: int) -> Proof:
    """Arms whose effect is exactly the margin are called EQUIVALENT in at most alpha; also for all arms at once."""
    cells = []
    for n, margin, arms in product(SEEDS, (0.5, 2.0, 8.0), (1, 6)):  # the margin in units of sd(d)
        rng = stream("proof", "equivalence", n, int(2 * margin), arms)
        compared = compare(margin + rng.standard_normal((studies, arms, n)))
        single = equivalent(compared, margin, ALPHA)[:, 0]
        name = f"n = {n}, effect = margin = {margin:g} sd"
        if arms == 1:
            cells.append(at_most(f"{name}, one arm", int(single.sum()), studies, ALPHA))
        else:
            every = equivalent(compared, margin, ALPHA / arms).any(axis=1)
            cells.append(at_most(f"{name}, any of {arms} at alpha / {arms}", int(every.sum()), studies, ALPHA))
    how = f"{studies:,} studies a cell, paired differences normal with their mean at `smallest_interesting`."
    return Proof("False EQUIVALENT at the margin", how, cells)


def power(studies: int) -> Proof:
    """At the detectable effect that is printed, one real change among K - 1 useless ones is found in 80%, within 3."""
    cells = []
    for n, arms in product(SEEDS, (1, 6)):
        effect = smallest_detectable(n, ALPHA, arms)
        rng = stream("proof", "power", n, arms)
        differences = rng.standard_normal((studies, arms, n))
        differences[:, 0] += effect
        compared = compare(differences)
        bonferroni = float(np.mean(compared.p[:, 0] < ALPHA / arms))
        found = float(np.mean(holm(compared.p)[:, 0] < ALPHA))
        cells.append(
            Cell(
                f"n = {n}, K = {arms}, effect {effect:.2f} sd",
                f"{bonferroni:.1%} at alpha / K, {found:.1%} by Holm",
                "77% to 83%",
                abs(bonferroni - 0.8) <= 0.03 and found >= bonferroni,
            )
        )
    how = f"{studies:,} studies a cell; the effect is what `plan` and the report print as detectable with 80% power."
    return Proof("Power at the printed detectable effect", how, cells)
