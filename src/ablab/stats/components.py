"""How much arms differ, how much seeds do, and what is left: the components of variance of a study's scores.

    score(arm, seed) = mean + arm + seed + rest        A arms, n seeds, one score a cell

    E MS(arm) = rest + n arm      E MS(seed) = rest + A seed      E MS(rest) = rest       (as variances)

The analysis of variance's estimates: Searle, Casella & McCulloch 1992, "Variance components", section 4.3; Montgomery,
"Design and Analysis of Experiments", chapter 13. One that comes out negative is 0, as is usual.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from ablab.stats.paired import ROUNDING


@dataclass(frozen=True)
class Components:
    """Standard deviations in the metric's units, over the `seeds` that every one of the `arms` has a score for.

    `of_arms` is between arms, `of_seeds` what a seed does to all arms alike (pairing takes it out), `of_rest` what it
    does to each one in its own way (pairing does not). `p` is of no difference between arms (F test, the seeds as
    blocks).
    """

    arms: int
    seeds: int
    of_arms: float
    of_seeds: float
    of_rest: float
    p: float


def components(scores: Mapping[str, Mapping[int, float]]) -> Components | None:
    """The components from {arm: {seed: score}}; None below two arms or two seeds that all arms share.

    A score that is not finite counts as none.
    """
    finite = {arm: {s: v for s, v in of.items() if math.isfinite(v)} for arm, of in scores.items()}
    shared = sorted(set.intersection(*map(set, finite.values()))) if finite else []
    if len(finite) < 2 or len(shared) < 2:
        return None
    y = np.array([[of[seed] for of in finite.values()] for seed in shared], np.float64)  # (n, A)
    n, arms = y.shape
    rows, columns, mean = y.mean(axis=1, keepdims=True), y.mean(axis=0, keepdims=True), y.mean()
    rest = y - rows - columns + mean
    if np.abs(rest).max() <= ROUNDING * np.abs(y).max():
        rest = np.zeros_like(y)
    ms_arm = n * float(((columns - mean) ** 2).sum()) / (arms - 1)
    ms_seed = arms * float(((rows - mean) ** 2).sum()) / (n - 1)
    ms_rest = float((rest**2).sum()) / ((arms - 1) * (n - 1))
    ratio = ms_arm / ms_rest if ms_rest else (math.inf if ms_arm else 0.0)
    return Components(
        arms,
        n,
        math.sqrt(max(0.0, ms_arm - ms_rest) / n),
        math.sqrt(max(0.0, ms_seed - ms_rest) / arms),
        math.sqrt(ms_rest),
        float(special.fdtrc(arms - 1, (arms - 1) * (n - 1), ratio)) if math.isfinite(ratio) else 0.0,
    )
