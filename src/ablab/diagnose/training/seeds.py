"""Whether a study's seeds differ more than its arms: then a single run of each says nothing."""

from __future__ import annotations

import math

from ablab.findings import Finding
from ablab.stats import Components

WEIGHT = 0.5  # the most that it may weigh: it is about the study, and not what ails this run


def seed_findings(parts: Components) -> tuple[Finding, ...]:
    """A finding where luck (what seeds do to all arms and to each) has a larger spread than the arms have.

    Its severity grows with luck's share of the variance of a single score.
    """
    luck = math.hypot(parts.of_seeds, parts.of_rest)
    if luck <= parts.of_arms:
        return ()
    share = luck**2 / (luck**2 + parts.of_arms**2)
    evidence = (
        ("sd of arms", parts.of_arms),
        ("sd of seeds", parts.of_seeds),
        ("sd of rest", parts.of_rest),
        ("p of no difference between arms", parts.p),
    )
    said = (
        f"seeds differ more than arms: over {parts.arms} arms and {parts.seeds} seeds, luck has a standard deviation "
        f"of {luck:.2g} (of it {parts.of_rest:.2g} that pairing cannot take out), the arms {parts.of_arms:.2g}; one "
        "run of each says nothing about them"
    )
    return (Finding("seeds over arms", WEIGHT * share, evidence, said),)
