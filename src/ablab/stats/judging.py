"""From scores to verdicts: helps, hurts, equivalent or undecided, for every arm against what it is compared with.

    helps, hurts   adjusted p < alpha (Holm's or Dunnett's), in the metric's good or bad direction
    equivalent     neither, and the 1 - 2 alpha interval lies inside +-smallest_interesting
    undecided      none of these; `fresh_seeds` says what a fresh study would need

The effect is the one over seeds, on these images (`effect_fixed`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ablab.errors import ConfigError, UnknownName
from ablab.stats.dunnett import blocked, dunnett_interval, dunnett_p
from ablab.stats.equivalence import equivalence_interval, equivalent
from ablab.stats.improvement import Improvement, improvement, unpaired_improvement
from ablab.stats.multiplicity import Method, holm, simultaneous_interval
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
from ablab.stats.unpaired import welch
from ablab.stats.verdicts import Decision, Range, Scores, Verdict

FEWEST_TO_CONFIRM = 5  # a study with fewer seeds is a screening


@dataclass(frozen=True)
class _Rule:
    """What the study declared before its first run."""

    sign: int  # +1 where more is better
    smallest_interesting: float
    alpha: float
    arms: int
    method: Method
    paired: bool


@dataclass(frozen=True)
class _Sides:
    """One arm (m,) and what it is compared with (n,): over common seeds where paired. `missing` counts lost scores."""

    seeds: list[int]
    arm: Array
    other: Array
    missing: int

    def differences(self, paired: bool) -> Array:
        """The points whose mean is the effect (m,)."""
        return self.arm - (self.other if paired or not self.other.size else self.other.mean())


@dataclass(frozen=True)
class _Judged:
    """One arm's sides, their comparison, and what the family of all arms makes of it."""

    sides: _Sides
    comparison: Comparison
    p_holm: float
    p_dunnett: float | None
    simultaneous: Range


def judge(
    scores: Mapping[str, Scores],
    baseline: str | Mapping[str, str],
    *,
    direction: Literal["max", "min"] = "max",
    smallest_interesting: float,
    alpha: float = 0.05,
    controls: Collection[str] = (),
    method: Method = "holm",
    paired: bool = True,
) -> list[Verdict]:
    """One verdict an arm of `scores` {arm: {seed: score}} but the baseline, in the order given.

    `baseline` is what all are compared with, or {arm: what it is compared with}, which names the arms to judge: one
    family of Holm's, whatever each is compared with (a ladder's rungs, the parts of a full model).

    A seed that is missing, None or not finite on either side drops that pair; the verdict's qualifiers count the loss.
    Controls (`a/a`, `placebo`) are judged as every arm is, and count in K: a study asks as many questions as it has
    arms. `direction` says what is good and leaves the effect's sign alone; `smallest_interesting` is in the metric's
    units.

    `method` "dunnett" assumes equal seed noise in every arm and takes only the seeds under which every arm that has
    any score is scored. Not `paired`, seeds are labels without meaning and Welch's t decides.

    Raises UnknownName for a baseline or control without scores; ConfigError for numbers out of range, and for Dunnett
    without pairs or with more than one reference.
    """
    against = {arm: baseline for arm in scores if arm != baseline} if isinstance(baseline, str) else dict(baseline)
    wanted = [baseline] if isinstance(baseline, str) else [*against, *against.values()]
    for name in (*wanted, *controls):
        if name not in scores:
            raise UnknownName("arm", name, scores, "judge")
    if direction not in ("max", "min"):
        raise UnknownName("direction", direction, ("max", "min"), "judge")
    if method not in ("holm", "dunnett"):
        raise UnknownName("method", method, ("holm", "dunnett"), "judge")
    if not 0 < smallest_interesting < math.inf:
        raise ConfigError(f"smallest_interesting must be a positive number of the metric, got {smallest_interesting}")
    if not 0 < alpha < 0.5:
        raise ConfigError(f"alpha must lie between 0 and 0.5, got {alpha}; 0.05 is usual")
    rule = _Rule(1 if direction == "max" else -1, smallest_interesting, alpha, len(against), method, paired)
    family = _by_dunnett(scores, against, rule) if method == "dunnett" else _by_holm(scores, against, rule)
    return [
        _verdict(arm, other, judged, rule, arm in controls)
        for (arm, other), judged in zip(against.items(), family, strict=True)
    ]


def _by_holm(scores: Mapping[str, Scores], against: Mapping[str, str], rule: _Rule) -> list[_Judged]:
    every = {seed for arm in scores.values() for seed in arm}
    take = _common if rule.paired else _groups
    sides = [take(scores[arm], scores[other], every) for arm, other in against.items()]
    compared = [compare(each.arm - each.other) if rule.paired else welch(each.arm, each.other) for each in sides]
    adjusted = holm([comparison.p for comparison in compared])
    return [
        _Judged(each, comparison, float(p), None, _floats(simultaneous_interval(comparison, rule.alpha, rule.arms)))
        for each, comparison, p in zip(sides, compared, adjusted, strict=True)
    ]


def _by_dunnett(scores: Mapping[str, Scores], against: Mapping[str, str], rule: _Rule) -> list[_Judged]:
    references = sorted(set(against.values()))
    if not rule.paired or len(references) != 1:
        got = (
            f"arms compared with {', '.join(references) or 'nothing'}" if rule.paired else "scores without common seeds"
        )
        raise ConfigError(
            f"method 'dunnett' compares all arms with one baseline over common seeds, got {got}; use holm"
        )
    baseline = scores[references[0]]
    every = {seed for arm in scores.values() for seed in arm}
    present = [arm for arm in against if any(map(_scored, scores[arm].values()))]
    complete = {seed for seed in every if all(_scored(scores[arm].get(seed)) for arm in (references[0], *present))}
    sides = {arm: _common(_at(scores[arm], complete), baseline, every) for arm in against}
    pooled = blocked(
        np.column_stack([_common(_at(baseline, complete), baseline, every).arm, *(sides[arm].arm for arm in present)])
    )
    adjusted, (low, high) = dunnett_p(pooled.t, rule.arms, pooled.df), dunnett_interval(pooled, rule.alpha, rule.arms)
    stepped = dict(zip(present, holm([*pooled.p, *[np.nan] * (rule.arms - len(present))]), strict=False))
    judged = {
        arm: _Judged(
            sides[arm], pooled.at(k), float(stepped[arm]), _known(adjusted[k]), (float(low[k]), float(high[k]))
        )
        for k, arm in enumerate(present)
    }
    nothing = (-math.inf, math.inf)
    return [judged.get(arm, _Judged(sides[arm], compare([]), math.nan, None, nothing)) for arm in against]


def _at(arm: Scores, seeds: Collection[int]) -> Scores:
    return {seed: score for seed, score in arm.items() if seed in seeds}


def _common(arm: Scores, other: Scores, every: Collection[int]) -> _Sides:
    common = [seed for seed in sorted(every) if _scored(arm.get(seed)) and _scored(other.get(seed))]
    return _Sides(
        common,
        np.array([arm[seed] for seed in common], dtype=np.float64),
        np.array([other[seed] for seed in common], dtype=np.float64),
        len(every) - len(common),
    )


def _groups(arm: Scores, other: Scores, _: Collection[int]) -> _Sides:
    seeds, others = ([seed for seed in sorted(side) if _scored(side[seed])] for side in (arm, other))
    return _Sides(
        seeds,
        np.array([arm[seed] for seed in seeds], dtype=np.float64),
        np.array([other[seed] for seed in others], dtype=np.float64),
        len(arm) - len(seeds) + len(other) - len(others),
    )


def _scored(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _verdict(arm: str, against: str, judged: _Judged, rule: _Rule, control: bool) -> Verdict:
    sides, comparison = judged.sides, judged.comparison
    decision = _decide(judged, rule)
    n, sd = comparison.n, float(comparison.sd)
    differences = sides.differences(rule.paired)
    fresh = decision == "undecided" and n >= 2
    testable = rule.paired and FEWEST_FOR_SIGN_FLIP <= n <= MOST_FOR_SIGN_FLIP
    better = _improvement(sides, rule)
    return Verdict(
        arm=arm,
        verdict=decision,
        qualifiers=_qualifiers(judged, decision, rule, control),
        n=n,
        effect=float(comparison.effect),
        sd=sd,
        interval=_floats(interval(comparison, rule.alpha)),
        simultaneous=judged.simultaneous,
        equivalence=_floats(equivalence_interval(comparison, rule.alpha)),
        p=float(comparison.p),
        p_holm=judged.p_holm,
        p_sign_flip=sign_flip(differences) if testable else None,
        pairing=pairing(sides.arm, sides.other) if rule.paired else None,
        fresh_seeds=_fresh(comparison, rule) if fresh else None,
        differences=dict(zip(sides.seeds, differences.tolist(), strict=True)),
        against=against,
        p_dunnett=judged.p_dunnett,
        improvement=better.probability,
        improvement_interval=better.interval,
        paired=rule.paired,
    )


def _improvement(sides: _Sides, rule: _Rule) -> Improvement:
    arm, other = rule.sign * sides.arm, rule.sign * sides.other
    return improvement(arm - other, rule.alpha) if rule.paired else unpaired_improvement(arm, other, rule.alpha)


def _fresh(comparison: Comparison, rule: _Rule) -> tuple[int, int]:
    measured = int(comparison.df) + 1  # the noise is known as well as over so many seeds
    return fresh_seeds(
        float(comparison.sd), measured, rule.smallest_interesting, rule.alpha, rule.arms, method=rule.method
    )


def _floats(ends: tuple[Array, Array]) -> Range:
    return float(ends[0]), float(ends[1])


def _decide(judged: _Judged, rule: _Rule) -> Decision:
    p = judged.p_holm if judged.p_dunnett is None else judged.p_dunnett
    if p < rule.alpha:
        return "helps" if rule.sign * judged.comparison.effect > 0 else "hurts"
    return "equivalent" if equivalent(judged.comparison, rule.smallest_interesting, rule.alpha) else "undecided"


def _qualifiers(judged: _Judged, decision: Decision, rule: _Rule, control: bool) -> tuple[str, ...]:
    """What must be said beside the verdict, the most important first."""
    comparison, margin = judged.comparison, rule.smallest_interesting
    significant = decision in ("helps", "hurts")
    low, high = judged.simultaneous
    said = {
        "control": control,
        f"by at least {margin:g}": significant and (low >= margin or high <= -margin),
        "below smallest interesting": significant and bool(equivalent(comparison, margin, rule.alpha)),
        "Holm only": significant and low <= 0 <= high,
        "for all arms at once": decision == "equivalent"
        and rule.arms > 1
        and bool(equivalent(comparison, margin, rule.alpha / rule.arms)),
        "no spread between seeds": comparison.n >= 2 and bool(comparison.sd == 0),
        "assumes equal seed noise in every arm": rule.method == "dunnett",
        "not paired by seed": not rule.paired,
        f"missing seeds: {judged.sides.missing}": judged.sides.missing > 0,
        f"screening: n < {FEWEST_TO_CONFIRM}": comparison.n < FEWEST_TO_CONFIRM,
    }
    return tuple(words for words, holds in said.items() if holds)
