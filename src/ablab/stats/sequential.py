"""Looking before all seeds are in: group-sequential boundaries for the paired t, and what an arm's look says.

Looking after every seed from 3 to 10 and stopping at p < 0.05 is wrong 17% of the time. Here alpha is spent over looks
fixed beforehand, with the error-spending function of Lan & DeMets 1983 (Biometrika 70) of Pocock's type,

    alpha(f) = alpha * ln(1 + (e - 1) * f)          f = n / largest n

and the boundaries c_k satisfy

    P(|t_1| < c_1, ..., |t_(k-1)| < c_(k-1), |t_k| >= c_k) = alpha(f_k) - alpha(f_(k-1))

for the t statistics of one growing sample of normal differences with unknown sd (Jennison & Turnbull 2000, "Group
Sequential Methods", chapters 4 and 7). K arms get alpha / K each.

The intervals effect +- c_k * se are repeated confidence intervals (the same, chapter 9): they hold at all looks at once
with probability 1 - alpha, whatever made an arm stop. So a verdict is read off them, stopping for futility costs
nothing, and EQUIVALENT (the interval of boundaries at 2 alpha inside +-smallest_interesting: two one-sided tests, as
without looks) is wrong at most with probability alpha an arm.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ablab.errors import ConfigError
from ablab.stats.equivalence import equivalent
from ablab.stats.judging import FEWEST_TO_CONFIRM, judge
from ablab.stats.paired import Array, Comparison, compare, critical_t, interval
from ablab.stats.power import fresh_seeds
from ablab.stats.verdicts import Range, Scores, Verdict

DRAWS = 2**21  # a boundary's standard error stays below 1% of it at alpha 0.05 / 12 and ten looks
DRAWS_AHEAD = 20_000  # the standard error of a conditional power stays below 0.004
FIRST_LOOK = 3  # two differences say next to nothing of their sd
FIRST_LOOK_OF_MANY = 5  # at alpha / 6 a look at 3 would need |t| > 18

Outcome = Literal["helps", "hurts", "equivalent", "futile", "goes on", "undecided"]


def spent(fraction: float, alpha: float) -> float:
    """The part of alpha that is spent when `fraction` (0 to 1) of the seeds are in."""
    return alpha * math.log1p((math.e - 1) * fraction)


@lru_cache(maxsize=64)
def boundaries(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    """The |t| that decides at each look, for one arm at `alpha` (two-sided); `looks` are numbers of seeds.

    The first is Student's quantile, the others are quantiles of `DRAWS` seeded draws: `boundaries((3, 5, 8, 12), 0.05)`
    is about (7.38, 4.40, 3.22, 2.78). Raises ConfigError for looks that do not grow from 2 on.
    """
    if not looks or looks[0] < 2 or any(later <= earlier for earlier, later in pairwise(looks)):
        raise ConfigError(f"looks are growing numbers of seeds from 2 on, got {list(looks)}")
    rng = np.random.default_rng(20_240_229)
    sums, squares = np.zeros(DRAWS), np.zeros(DRAWS)  # of the differences, in their sd, on paths that go on
    found: list[float] = []
    for before, n in zip((0, *looks), looks, strict=False):
        sums, squares = _grow(sums, squares, n - before, 0.0, rng)
        t = _t(sums, squares, n)
        here = spent(n / looks[-1], alpha) - (spent(before / looks[-1], alpha) if before else 0.0)
        if before:
            tail = max(1, round(here * DRAWS))
            found.append(float(np.partition(t, len(t) - tail)[len(t) - tail]))
        else:
            found.append(float(critical_t(n, here)))
        going = t < found[-1]
        sums, squares = sums[going], squares[going]
    return tuple(found)


def _grow(sums: Array, squares: Array, more: int, drift: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Sums and sums of squares after `more` further N(drift, 1) draws a path: their sum, and chi-squared about it."""
    added = more * drift + math.sqrt(more) * rng.standard_normal(len(sums))
    about = 2 * rng.standard_gamma((more - 1) / 2, len(sums)) if more > 1 else 0.0
    return sums + added, squares + added**2 / more + about


def _t(sums: Array, squares: Array, n: int) -> Array:
    """|t| of n differences."""
    return np.abs(sums) / np.sqrt(n / (n - 1) * (squares - sums**2 / n))


def levels(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    """The boundaries as nominal levels: the two-sided p of Student's t that decides at each look.

    A pair that is missing changes the degrees of freedom and not the level.
    """
    return tuple(float(2 * special.stdtr(n - 1, -c)) for n, c in zip(looks, boundaries(looks, alpha), strict=True))


@dataclass(frozen=True)
class Rules:
    """What a sequential study declared before its first run.

    `looks` are numbers of seeds, the last one the largest; `arms` is K; `smallest_interesting` is in the metric's
    units. With `futility`, an arm stops whose conditional power is smaller.
    """

    looks: tuple[int, ...]
    arms: int
    smallest_interesting: float
    direction: Literal["max", "min"] = "max"
    alpha: float = 0.05
    futility: float | None = None

    def level(self, number: int, alpha: float) -> float:
        """The nominal level of look `number` (from 1) for a claim at `alpha`."""
        return levels(self.looks, alpha)[number - 1]


@dataclass(frozen=True)
class Look:
    """One arm at one look. `boundary` is the |t| that decides; `interval` is effect +- boundary * se, in the metric's
    units. `conditional_power` is NaN where it is not asked (decided, the last look) or unknown."""

    n: int
    effect: float
    t: float
    boundary: float
    interval: Range
    outcome: Outcome
    conditional_power: float

    @property
    def stops(self) -> bool:
        """Whether the arm is trained no further."""
        return self.outcome != "goes on"


def take(differences: ArrayLike, number: int, rules: Rules) -> Look:
    """Judge differences (n,) at look `number` (from 1)."""
    d = np.asarray(differences, dtype=np.float64)
    comparison = compare(d)
    level = rules.level(number, rules.alpha / rules.arms)
    outcome, power = _outcome(comparison, number, rules, level), math.nan
    if outcome == "goes on":
        power = conditional_power(d, number, rules)
        if rules.futility is not None and power < rules.futility:
            outcome = "futile"
    return Look(
        n=comparison.n,
        effect=float(comparison.effect),
        t=float(comparison.t),
        boundary=float(critical_t(comparison.n, level)) if comparison.n > 1 else math.inf,
        interval=_floats(interval(comparison, level)),
        outcome=outcome,
        conditional_power=power,
    )


def _outcome(comparison: Comparison, number: int, rules: Rules, level: float) -> Outcome:
    good = 1 if rules.direction == "max" else -1
    if comparison.p < level:
        return "helps" if good * comparison.effect > 0 else "hurts"
    if equivalent(comparison, rules.smallest_interesting, rules.level(number, 2 * rules.alpha) / 2):
        return "equivalent"
    return "undecided" if number == len(rules.looks) else "goes on"


def conditional_power(differences: ArrayLike, number: int, rules: Rules) -> float:
    """The probability that a later look decides HELPS or HURTS, given differences (n,) at look `number`.

    The seeds to come are drawn as N(smallest_interesting in the good direction, sd of those that are in). NaN where
    that sd is unknown or zero. Source: Lan & Wittes 1988 (Biometrics 44), with t instead of B-values.
    """
    comparison = compare(differences)
    if comparison.n < 2 or not comparison.sd > 0:
        return math.nan
    scaled = np.asarray(differences, dtype=np.float64) / comparison.sd
    drift = (1 if rules.direction == "max" else -1) * rules.smallest_interesting / float(comparison.sd)
    rng = np.random.default_rng(20_240_301)
    n, planned = comparison.n, rules.looks[number - 1]
    sums, squares = np.full(DRAWS_AHEAD, scaled.sum()), np.full(DRAWS_AHEAD, (scaled**2).sum())
    crossed = np.zeros(DRAWS_AHEAD, dtype=np.bool_)
    for later in range(number, len(rules.looks)):
        more = rules.looks[later] - planned
        sums, squares = _grow(sums, squares, more, drift, rng)
        n, planned = n + more, rules.looks[later]
        crossed |= _t(sums, squares, n) > critical_t(n, rules.level(later + 1, rules.alpha / rules.arms))
    return float(crossed.mean())


def verdict(
    arm: str,
    scores: Scores,
    against: str,
    reference: Scores,
    seeds: Sequence[int],
    number: int,
    rules: Rules,
    controls: Collection[str] = (),
) -> Verdict:
    """The verdict of one arm at look `number`, from scores {seed: score} under the study's `seeds`, in their order.

    Only the look's seeds count. All intervals are the boundaries': `interval` at alpha, `simultaneous` at alpha / K,
    `equivalence` at 2 alpha. There is no p-value: the plain one does not know of the looks. At look 0, before the
    first, nothing is looked at.
    """
    inside = seeds[: rules.looks[number - 1]] if number else []
    plain = judge(
        {arm: _within(scores, inside), against: _within(reference, inside)},
        {arm: against},
        direction=rules.direction,
        smallest_interesting=rules.smallest_interesting,
        alpha=rules.alpha / len(rules.looks),  # only the probability of improvement is left as it comes: Bonferroni
    )[0]
    plain = replace(plain, p=math.nan, p_holm=math.nan, p_sign_flip=None)
    if not number:
        return replace(plain, qualifiers=("no look yet",))
    differences = np.array([*plain.differences.values()])
    look, comparison = take(differences, number, rules), compare(differences)
    decision = look.outcome if look.outcome in ("helps", "hurts", "equivalent") else "undecided"
    fresh = decision == "undecided" and comparison.n > 1
    return replace(
        plain,
        verdict=decision,
        qualifiers=_qualifiers(look, comparison, number, rules, arm in controls),
        interval=_floats(interval(comparison, rules.level(number, rules.alpha))),
        simultaneous=look.interval,
        equivalence=_floats(interval(comparison, rules.level(number, 2 * rules.alpha))),
        fresh_seeds=fresh_seeds(plain.sd, plain.n, rules.smallest_interesting, rules.alpha, rules.arms)
        if fresh
        else None,
    )


def _within(scores: Scores, seeds: Sequence[int]) -> Mapping[int, float | None]:
    return {seed: scores.get(seed) for seed in seeds}


def _floats(ends: tuple[Array, Array]) -> Range:
    return float(ends[0]), float(ends[1])


def _qualifiers(look: Look, comparison: Comparison, number: int, rules: Rules, control: bool) -> tuple[str, ...]:
    """What must be said beside the verdict, the most important first."""
    margin, significant = rules.smallest_interesting, look.outcome in ("helps", "hurts")
    of, missing = f"look {number} of {len(rules.looks)}", rules.looks[number - 1] - look.n
    narrow = rules.level(number, 2 * rules.alpha) / 2
    for_all = rules.level(number, 2 * rules.alpha / rules.arms) / 2
    low, high = look.interval
    said = {
        "control": control,
        f"stopped at {of}": look.stops and number < len(rules.looks),
        f"goes on after {of}": not look.stops,
        "futile": look.outcome == "futile",
        f"by at least {margin:g}": significant and (low >= margin or high <= -margin),
        "below smallest interesting": significant and bool(equivalent(comparison, margin, narrow)),
        "for all arms at once": look.outcome == "equivalent"
        and rules.arms > 1
        and bool(equivalent(comparison, margin, for_all)),
        "no spread between seeds": comparison.n >= 2 and bool(comparison.sd == 0),
        f"missing seeds: {missing}": missing > 0,
        f"screening: n < {FEWEST_TO_CONFIRM}": comparison.n < FEWEST_TO_CONFIRM,
    }
    return tuple(words for words, holds in said.items() if holds)
