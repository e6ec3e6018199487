"""What follows from the records and is stored nowhere: the noise floor, what the study could see, descriptive effects.

Every number comes out of `ablab.stats`. Only runs that finished count here: the score that a study declares for a run
that diverged is a judgement, not a measurement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from ablab import stats
from ablab.reports.view import Arm, View
from ablab.stats import sequential

SIZES = {"s": "small", "m": "medium", "l": "large"}


@dataclass(frozen=True)
class Resolution:
    """What an arm's seeds could see, in the metric's units.

    `one` is the smallest effect that as many seeds detect four times in five where this arm alone is asked about,
    `family` the same where all arms are. `sd` is that of the paired differences, `arm_sd` and `reference_sd` those of
    either side.
    """

    arm: str
    n: int
    arm_sd: float
    reference_sd: float
    sd: float
    pairing: float | None
    one: float
    family: float


@dataclass(frozen=True)
class Effect:
    """A descriptive effect on some metric: mean paired difference over n seeds and its pointwise interval."""

    metric: str
    label: str
    n: int
    effect: float
    low: float
    high: float


def noise(view: View) -> stats.NoiseFloor | None:
    """The baseline's noise floor in the metric that decides; None below two finished runs."""
    return stats.noise_floor(list(view.scores(view.baseline, view.metric).values()), view.alpha)


def resolutions(view: View) -> list[Resolution]:
    """One row an arm, or main effect of a factorial, that was judged on two pairs or more."""
    if view.effects:
        return [row for effect in view.effects if (row := _contrast(view, effect))]
    judged = [arm for arm in view.compared if arm.verdict]
    detectable = cache(lambda n: _detectable(view, n, len(judged)))  # of as many arms, most have as many seeds
    return [row for arm in judged if (row := _resolution(view, arm, detectable))]


def _contrast(view: View, effect: Arm) -> Resolution | None:
    """A main effect has a spread of its own, and no single other side."""
    verdict = effect.verdict
    if verdict is None or verdict.n < 2:
        return None
    one, family = (verdict.sd * size for size in _detectable(view, verdict.n, len(view.effects)))
    return Resolution(effect.name, verdict.n, math.nan, math.nan, verdict.sd, None, one, family)


def _resolution(view: View, arm: Arm, detectable: Callable[[int], tuple[float, float]]) -> Resolution | None:
    own, other = view.scores(arm, view.metric), view.scores(view.reference(arm), view.metric)
    seeds = sorted(set(own) & set(other))
    if len(seeds) < 2 or not view.paired:
        return None
    mine, theirs = [own[seed] for seed in seeds], [other[seed] for seed in seeds]
    sd = float(stats.compare([a - b for a, b in zip(mine, theirs, strict=True)]).sd)
    one, family = (sd * size for size in detectable(len(seeds)))
    arm_sd, reference_sd = (float(stats.compare(side).sd) for side in (mine, theirs))
    return Resolution(arm.name, len(seeds), arm_sd, reference_sd, sd, stats.pairing(mine, theirs), one, family)


def _detectable(view: View, n: int, arms: int) -> tuple[float, float]:
    """In sd(d): of one arm alone and of one among all. With looks, of one among all at the last look alone."""
    if at := view.looking.get("at"):
        return math.nan, stats.smallest_detectable(at[-1], sequential.levels(tuple(at), view.alpha / arms)[-1])
    method: Literal["holm", "dunnett"] = "dunnett" if view.correction == "Dunnett" else "holm"
    return stats.smallest_detectable(n, view.alpha), stats.smallest_detectable(n, view.alpha, arms, method=method)


def effects(view: View, arm: Arm, metrics: Sequence[tuple[str, str]]) -> list[Effect]:
    """The effect of an arm on other (metric, label)s, each with its pointwise interval; nothing where unpaired."""
    rows = []
    for metric, label in metrics if view.paired else ():
        own, other = view.scores(arm, metric), view.scores(view.reference(arm), metric)
        pairs = [own[seed] - other[seed] for seed in sorted(set(own) & set(other))]
        pairs = [difference for difference in pairs if math.isfinite(difference)]
        if pairs:
            found = stats.compare(pairs)
            low, high = stats.interval(found, view.alpha)
            rows.append(Effect(metric, label, found.n, float(found.effect), float(low), float(high)))
    return rows


def headline(view: View) -> list[tuple[str, str]]:
    """Metrics of the whole split, as (metric, label): not of one class or size, not at a fixed threshold."""
    narrow = {metric for metric, _ in sizes(view)}
    names = [name for name in view.metrics() if not set("/@") & set(name) and name not in narrow]
    return [(name, name) for name in names]


def sizes(view: View) -> list[tuple[str, str]]:
    """AP of small, medium and large objects (`APs`, `APm`, `APl`) where they are known, as (metric, label)."""
    names = view.metrics()
    return [(f"AP{sign}", label) for sign, label in SIZES.items() if f"AP{sign}" in names]


def classes(view: View) -> list[tuple[str, str]]:
    """The deciding metric of every class (`AP/cell`), or the first that is known by class, as (metric, class)."""
    names = [name for name in view.metrics() if "/" in name]
    kinds = list(dict.fromkeys(name.split("/", 1)[0] for name in names))
    kind = view.metric if view.metric in kinds else next(iter(kinds), "")
    return [(name, name.split("/", 1)[1]) for name in names if name.startswith(f"{kind}/")]
