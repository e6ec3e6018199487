"""What a study says of one arm: helps, hurts, equivalent or undecided, and how sure it is of that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ablab.errors import ConfigError

Decision = Literal["helps", "hurts", "equivalent", "undecided"]
Range = tuple[float, float]
Scores = Mapping[int, float | None]  # {seed: score}

NUMBERS = ("effect", "sd", "p", "p_holm", "improvement")  # may be NaN
RANGES = ("interval", "simultaneous", "equivalence", "improvement_interval")


@dataclass(frozen=True)
class Verdict:
    """What a study says of one arm. All but probabilities, `pairing` and the counts is in the metric's units.

    `effect` is the mean of `differences` {seed: arm - `against`}, whatever the metric's good direction. `interval` is
    pointwise, 1 - alpha; `simultaneous` is Bonferroni's over all judged arms, or Dunnett's; `equivalence` is
    1 - 2 alpha. `n` counts pairs: below two of them `sd`, `p` and `p_holm` are NaN and the intervals are (-inf, inf);
    at none `effect` is NaN too. `p_holm` decides, unless `p_dunnett` is there. `p_sign_flip` is shown for 6 to 20
    pairs; `pairing` is None where it is undefined. `fresh_seeds` (low, high) stands at undecided arms with a known
    `sd`, speaks of paired seeds, and ends at 200, which means "or more".

    `improvement` is the probability that a run is better than one of `against`, in the metric's good direction, with
    its 1 - alpha interval. Where `paired` is false, `n` is the smaller group and `differences` are the arm's scores
    less the mean of `against`.
    """

    arm: str
    verdict: Decision
    qualifiers: tuple[str, ...]
    n: int
    effect: float
    sd: float
    interval: Range
    simultaneous: Range
    equivalence: Range
    p: float
    p_holm: float
    p_sign_flip: float | None
    pairing: float | None
    fresh_seeds: tuple[int, int] | None
    differences: dict[int, float]
    against: str = "baseline"
    p_dunnett: float | None = None
    improvement: float = math.nan
    improvement_interval: Range = (0.0, 1.0)
    paired: bool = True

    @property
    def p_adjusted(self) -> float:
        """The p that decided, adjusted for all judged arms."""
        return self.p_holm if self.p_dunnett is None else self.p_dunnett

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON: a number that is NaN or infinite becomes None, a seed becomes a word."""
        data = asdict(self) | {"differences": {str(seed): d for seed, d in self.differences.items()}}
        data["qualifiers"] = list(self.qualifiers)
        for name in NUMBERS:
            data[name] = data[name] if math.isfinite(data[name]) else None
        for name in RANGES:
            data[name] = [end if math.isfinite(end) else None for end in data[name]]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        """The inverse of `as_dict`, also after `records.write_json`. Raises ConfigError where a field is missing."""
        try:
            data = {"improvement": None, "improvement_interval": (0.0, 1.0), **data}  # a study judged before them
            numbers = {name: math.nan if data[name] is None else float(data[name]) for name in NUMBERS}
            ranges = {name: _range(*data[name]) for name in RANGES}
            fresh = data["fresh_seeds"]
            other = {
                "qualifiers": tuple(data["qualifiers"]),
                "fresh_seeds": None if fresh is None else (int(fresh[0]), int(fresh[1])),
                "differences": {int(seed): float(d) for seed, d in data["differences"].items()},
            }
            return cls(**{**data, **numbers, **ranges, **other})
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"not a verdict of this version: {error}; run `ablab report` on the study again"
            ) from None


def _range(low: float | None, high: float | None) -> Range:
    return (-math.inf if low is None else low, math.inf if high is None else high)
