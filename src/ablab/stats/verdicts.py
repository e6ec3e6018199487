"""From scores to verdicts: helps, hurts, equivalent or undecided, for every arm against what it is compared with.

    helps, hurts   Holm-adjusted p < alpha, in the metric's good or bad direction
    equivalent     neither, and the 1 - 2 alpha interval lies inside +-smallest_interesting
    undecided      none of these; `fresh_seeds` says what a fresh study would need

The effect is the one over seeds, on these images (`effect_fixed`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from ablab.errors import ConfigError, UnknownName
from ablab.stats.equivalence import equivalence_interval, equivalent
from ablab.stats.multiplicity import holm, simultaneous_interval
from ablab.stats.paired import (
    FEWEST_FOR_SIGN_FLIP,
    MOST_FOR_SIGN_FLIP,
    Array,
    Comparison,
    compare,
    interval,
    pairing,
    sign_flip,
)
from ablab.stats.power import fresh_seeds

FEWEST_TO_CONFIRM = 5  # a study with fewer seeds is a screening

Decision = Literal["helps", "hurts", "equivalent", "undecided"]
Range = tuple[float, float]
Scores = Mapping[int, float | None]  # {seed: score}


@dataclass(frozen=True)
class Verdict:
    """What a study says of one arm. All but the p-values, `pairing` and the counts is in the metric's units.

    `effect` is the mean of `differences` {seed: arm - `against`}, whatever the metric's good direction. `interval` is
    pointwise, 1 - alpha; `simultaneous` is Bonferroni's over all judged arms; `equivalence` is 1 - 2 alpha. `n` counts
    pairs: below two of them `sd`, `p` and `p_holm` are NaN and the intervals are (-inf, inf); at none `effect` is NaN
    too. `p_sign_flip` is shown for 6 to 20 pairs; `pairing` is None where it is undefined; `fresh_seeds` (low, high)
    stands at undecided arms with a known `sd`, and ends at 200, which means "or more".
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

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON: a number that is NaN or infinite becomes None, a seed becomes a word."""
        data = asdict(self) | {"differences": {str(seed): d for seed, d in self.differences.items()}}
        data["qualifiers"] = list(self.qualifiers)
        for name in ("effect", "sd", "p", "p_holm"):
            data[name] = data[name] if math.isfinite(data[name]) else None
        for name in ("interval", "simultaneous", "equivalence"):
            data[name] = [end if math.isfinite(end) else None for end in data[name]]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        """The inverse of `as_dict`, also after `records.write_json`. Raises ConfigError where a field is missing."""
        try:
            numbers = {
                name: math.nan if data[name] is None else float(data[name]) for name in ("effect", "sd", "p", "p_holm")
            }
            ranges = {name: _range(*data[name]) for name in ("interval", "simultaneous", "equivalence")}
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


@dataclass(frozen=True)
class _Rule:
    """What the study declared before its first run."""

    sign: int  # +1 where more is better
    smallest_interesting: float
    alpha: float
    arms: int


@dataclass(frozen=True)
class _Pairs:
    """One arm and the baseline over the seeds that both have, in the seeds' order; `missing` counts the others."""

    seeds: list[int]
    arm: Array
    baseline: Array
    missing: int

    @property
    def differences(self) -> Array:
        return self.arm - self.baseline


def judge(
    scores: Mapping[str, Scores],
    baseline: str | Mapping[str, str],
    *,
    direction: Literal["max", "min"] = "max",
    smallest_interesting: float,
    alpha: float = 0.05,
    controls: Collection[str] = (),
) -> list[Verdict]:
    """One verdict an arm of `scores` {arm: {seed: score}} but the baseline, in the order given.

    `baseline` is what all are compared with, or {arm: what it is compared with}, which names the arms to judge: one
    family of Holm's, whatever each is compared with (a ladder's rungs, the parts of a full model).

    A seed that is missing, None or not finite on either side drops that pair; the verdict's qualifiers count the loss.
    Controls (`a/a`, `placebo`) are judged as every arm is, and count in K: a study asks as many questions as it has
    arms. `direction` says what is good and leaves the effect's sign alone; `smallest_interesting` is in the metric's
    units.

    Raises UnknownName for a baseline or control without scores; ConfigError for numbers out of range.
    """
    against = {arm: baseline for arm in scores if arm != baseline} if isinstance(baseline, str) else dict(baseline)
    wanted = [baseline] if isinstance(baseline, str) else [*against, *against.values()]
    for name in (*wanted, *controls):
        if name not in scores:
            raise UnknownName("arm", name, scores, "judge")
    if direction not in ("max", "min"):
        raise UnknownName("direction", direction, ("max", "min"), "judge")
    if not 0 < smallest_interesting < math.inf:
        raise ConfigError(f"smallest_interesting must be a positive number of the metric, got {smallest_interesting}")
    if not 0 < alpha < 0.5:
        raise ConfigError(f"alpha must lie between 0 and 0.5, got {alpha}; 0.05 is usual")
    seeds = {seed for arm in scores.values() for seed in arm}
    paired = {arm: _pair(scores[arm], scores[other], seeds) for arm, other in against.items()}
    rule = _Rule(1 if direction == "max" else -1, smallest_interesting, alpha, len(paired))
    comparisons = [compare(pairs.differences) for pairs in paired.values()]
    adjusted = holm([comparison.p for comparison in comparisons])
    return [
        replace(_verdict(arm, pairs, comparison, float(p_holm), rule, arm in controls), against=against[arm])
        for (arm, pairs), comparison, p_holm in zip(paired.items(), comparisons, adjusted, strict=True)
    ]


def _pair(arm: Scores, baseline: Scores, seeds: Collection[int]) -> _Pairs:
    common = [seed for seed in sorted(seeds) if _scored(arm.get(seed)) and _scored(baseline.get(seed))]
    return _Pairs(
        common,
        np.array([arm[seed] for seed in common], dtype=np.float64),
        np.array([baseline[seed] for seed in common], dtype=np.float64),
        len(seeds) - len(common),
    )


def _scored(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _verdict(arm: str, pairs: _Pairs, comparison: Comparison, p_holm: float, rule: _Rule, control: bool) -> Verdict:
    decision = _decide(comparison, p_holm, rule)
    n, sd = comparison.n, float(comparison.sd)
    fresh = decision == "undecided" and n >= 2
    testable = FEWEST_FOR_SIGN_FLIP <= n <= MOST_FOR_SIGN_FLIP
    return Verdict(
        arm=arm,
        verdict=decision,
        qualifiers=_qualifiers(comparison, decision, pairs, rule, control),
        n=n,
        effect=float(comparison.effect),
        sd=sd,
        interval=_floats(interval(comparison, rule.alpha)),
        simultaneous=_floats(simultaneous_interval(comparison, rule.alpha, rule.arms)),
        equivalence=_floats(equivalence_interval(comparison, rule.alpha)),
        p=float(comparison.p),
        p_holm=p_holm,
        p_sign_flip=sign_flip(pairs.differences) if testable else None,
        pairing=pairing(pairs.arm, pairs.baseline),
        fresh_seeds=fresh_seeds(sd, n, rule.smallest_interesting, rule.alpha, rule.arms) if fresh else None,
        differences=dict(zip(pairs.seeds, pairs.differences.tolist(), strict=True)),
    )


def _floats(ends: tuple[Array, Array]) -> Range:
    return float(ends[0]), float(ends[1])


def _decide(comparison: Comparison, p_holm: float, rule: _Rule) -> Decision:
    if p_holm < rule.alpha:
        return "helps" if rule.sign * comparison.effect > 0 else "hurts"
    return "equivalent" if equivalent(comparison, rule.smallest_interesting, rule.alpha) else "undecided"


def _qualifiers(
    comparison: Comparison, decision: Decision, pairs: _Pairs, rule: _Rule, control: bool
) -> tuple[str, ...]:
    """What must be said beside the verdict, the most important first."""
    margin, many = rule.smallest_interesting, rule.arms > 1
    significant = decision in ("helps", "hurts")
    low, high = _floats(simultaneous_interval(comparison, rule.alpha, rule.arms))
    said = {
        "control": control,
        f"by at least {margin:g}": significant and (low >= margin or high <= -margin),
        "below smallest interesting": significant and bool(equivalent(comparison, margin, rule.alpha)),
        "Holm only": significant and low <= 0 <= high,
        "for all arms at once": decision == "equivalent"
        and many
        and bool(equivalent(comparison, margin, rule.alpha / rule.arms)),
        "no spread between seeds": comparison.n >= 2 and bool(comparison.sd == 0),
        f"missing seeds: {pairs.missing}": pairs.missing > 0,
        f"screening: n < {FEWEST_TO_CONFIRM}": comparison.n < FEWEST_TO_CONFIRM,
    }
    return tuple(words for words, holds in said.items() if holds)
