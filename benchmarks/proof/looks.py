"""5. Sequential studies: false claims over all looks, and the runs that stopping early saves."""

from __future__ import annotations

import numpy as np

from ablab.stats import compare, equivalent
from ablab.stats.sequential import Rules
from ablab.streams import stream
from proof.claim import Cell, Proof, at_most

ALPHA = 0.05
PLANS = (((3, 5, 8, 12), 1), ((5, 8, 12), 1), ((5, 8, 12), 6), ((5, 10), 12))
MARGIN = 0.5  # smallest_interesting in units of sd(d)


def run(studies: int) -> Proof:
    """Null studies, studies at the margin, and studies with a large effect; and what peeking does instead."""
    cells, rows = [], []
    for looks, arms in PLANS:
        for effect in (0.0, MARGIN, 2.0):
            outcome = simulate(looks, arms, effect, studies)
            name = f"looks {', '.join(map(str, looks))}, K = {arms}"
            if effect == 0:
                cells.append(at_most(f"{name}: HELPS or HURTS", outcome["called"], studies, ALPHA))
            if effect == MARGIN:
                cells.append(at_most(f"{name}: EQUIVALENT at the margin", outcome["equivalent"], studies, ALPHA))
            rows.append(f"| {name} | {effect:g} sd | {outcome['seeds']:.1f} of {looks[-1]} | {outcome['saved']:.0%} |")
    peeking = peek(studies)
    cells.append(
        Cell("for comparison: a plain p < 0.05 after every seed, 3 to 10", f"{peeking:.0%}", "naive", peeking > ALPHA)
    )
    saved = ["| looks | effect | seeds an arm | saved |", "|---|---|---|---|", *rows]
    how = f"{studies:,} studies a cell; all K arms have the effect, and an arm stops at the look that decides it."
    return Proof("Sequential looks", how, cells, notes=("\n".join(saved),))


def simulate(looks: tuple[int, ...], arms: int, effect: float, studies: int) -> dict[str, float]:
    """Counts of studies with a claim and with a (first arm's) EQUIVALENT, and the mean seeds of an arm."""
    rules = Rules(looks, arms, MARGIN, "max", ALPHA)
    draws = stream("proof", "looks", *looks, arms, int(10 * effect)).standard_normal((studies, 1 + arms, looks[-1]))
    differences = effect + (draws[:, 1:] - draws[:, :1]) / 2**0.5  # arms share the baseline's luck
    going = np.ones((studies, arms), dtype=bool)
    called, same = np.zeros_like(going), np.zeros_like(going)
    seeds = np.full((studies, arms), looks[-1])
    for number, n in enumerate(looks, 1):
        compared = compare(differences[:, :, :n])
        level = rules.level(number, ALPHA / arms)
        hit = going & (compared.p < level)
        band = rules.level(number, 2 * ALPHA) / 2
        flat = going & ~hit & equivalent(compared, MARGIN, band)
        called, same = called | hit, same | flat
        seeds[hit | flat] = n
        going &= ~(hit | flat)
    mean = float(seeds.mean())
    return {
        "called": int(called.any(axis=1).sum()),
        "equivalent": int(same[:, 0].sum()),
        "seeds": mean,
        "saved": 1 - mean / looks[-1],
    }


def peek(studies: int) -> float:
    """How often looking after every seed from 3 to 10 finds a p below 0.05 in nothing."""
    draws = stream("proof", "peek").standard_normal((studies, 10))
    return float(np.any([compare(draws[:, :n]).p < ALPHA for n in range(3, 11)], axis=0).mean())
