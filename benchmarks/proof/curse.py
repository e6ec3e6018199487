"""6. The winner's curse: how good the best of useless changes looks, and what a confirmation leaves of it."""

from __future__ import annotations

from itertools import product

from ablab.stats.winner import expected_bias
from ablab.streams import stream
from proof.claim import Cell, Proof


def run(studies: int) -> Proof:
    """Before: the printed expected bias is the simulated one. After fresh seeds: no bias is left."""
    cells = []
    for arms, n in product((3, 6, 12), (3, 5)):
        rng = stream("proof", "curse", arms, n)
        first, fresh = (rng.standard_normal((studies, 1 + arms, n)).mean(axis=2) for _ in range(2))
        best = first[:, 1:].argmax(axis=1) + 1
        rows = range(studies)
        before, after = (x[rows, best] - x[:, 0] for x in (first, fresh))
        error = float(before.std() / studies**0.5), float(after.std() / studies**0.5)
        expected = expected_bias(arms, n)
        cells.append(
            Cell(
                f"K = {arms}, n = {n}, the study's own seeds",
                f"{before.mean():+.3f}",
                f"{expected:+.3f} as printed, within {3 * error[0]:.3f}",
                abs(before.mean() - expected) <= 3 * error[0],
            )
        )
        cells.append(
            Cell(
                f"K = {arms}, n = {n}, fresh seeds",
                f"{after.mean():+.3f}",
                f"0, within {3 * error[1]:.3f}",
                abs(after.mean()) <= 3 * error[1],
            )
        )
    how = f"Effect of the best of K useless changes in units of one arm's sd over seeds, mean of {studies:,} studies."
    return Proof("The winner's bias before and after confirmation", how, cells)
