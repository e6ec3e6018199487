"""The winner's curse: how good the best of useless changes looks, and what fresh seeds leave of a winner.

The effects of K arms over n common seeds are mean(arm) - mean(baseline). Where no change does anything, the largest of
them is expected at E[max of K standard normals] / sqrt(n), in units of one arm's sd over seeds: the baseline's luck is
common to all and cancels. +0.73 at K = 6, n = 3. So a winner and its effect are confirmed on seeds that did not choose.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from ablab.errors import ConfigError
from ablab.stats.verdicts import Verdict

_X = np.linspace(-9, 9, 4001)


def expected_bias(arms: int, n: int) -> float:
    """The expected effect of the best of `arms` useless changes over n seeds, in units of one arm's sd over seeds.

    E[max of K standard normals] / sqrt(n), the first order statistic (David & Nagaraja 2003, "Order Statistics", 3.1):
    the integral of x * K * phi(x) * Phi(x)^(K - 1). Raises ConfigError for no arm or no seed.
    """
    if arms < 1 or n < 1:
        raise ConfigError(f"expected_bias: one arm and one seed or more are needed, got {arms} and {n}")
    density = arms * np.exp(-(_X**2) / 2) / math.sqrt(2 * math.pi) * special.ndtr(_X) ** (arms - 1)
    return float((_X * density).sum() * (_X[1] - _X[0])) / math.sqrt(n)


@dataclass(frozen=True)
class Confirmation:
    """One arm in the study and on fresh seeds, in the metric's units.

    `study` is None where the study did not train the arm (all helping changes together). `kept` is the share of the
    study's effect that fresh seeds show: 1 where it stands, 0 where nothing is left, negative where it turned round.
    """

    fresh: Verdict
    study: Verdict | None = None

    @property
    def shrinkage(self) -> float:
        """What fresh seeds took away: the study's effect less the fresh one; NaN where the study has none."""
        return math.nan if self.study is None else self.study.effect - self.fresh.effect

    @property
    def kept(self) -> float:
        """The fresh effect as a share of the study's; NaN where that is unknown or zero."""
        return self.fresh.effect / self.study.effect if self.study and self.study.effect else math.nan

    def as_dict(self) -> dict[str, Any]:
        """The fresh verdict as plain data, with `study_effect`, `shrinkage` and `kept`; NaN becomes None."""
        effect = math.nan if self.study is None else self.study.effect
        figures: Mapping[str, float] = {"study_effect": effect, "shrinkage": self.shrinkage, "kept": self.kept}
        return self.fresh.as_dict() | {name: x if math.isfinite(x) else None for name, x in figures.items()}
