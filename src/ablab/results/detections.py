"""Anybody's detections, one COCO file an arm and seed, against one ground truth.

Every file becomes evidence once, and that evidence is scored: as it is, and under weights of images, so that effects
get intervals over seeds, over images and over both (`stats.population`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ablab import stats
from ablab.errors import ConfigError, DataError, UnknownName
from ablab.results.judgement import Judgement, baseline_of, judged
from ablab.results.labels import NAMES, Source
from ablab.results.result import Reading, Result, once_each
from ablab.results.runs import natural
from ablab.stats import Population
from ablab.study import groups
from ablab.study.images import REPLICATES, replicates
from ablab.tasks.detection.formats.coco import Instances, read_detections, read_truth
from ablab.tasks.detection.metrics.meter import DetectionMeter

SAID = (
    "one seed an arm: no verdict. The interval is over images: what these very trainings would score on other images "
    "from the same source. It does not cover another training of the same arm, and luck with the seed alone often "
    "moves a score by more than a change does. Train under 5 seeds or more."
)


@dataclass(frozen=True)
class Scored:
    """Every run's figures, and its replicates of the deciding metric {(arm, seed): (B,)}; `groups`
    (G,) holds how many images there are in each group that was drawn whole."""

    reading: Reading
    drawn: Mapping[tuple[str, int], np.ndarray] = field(default_factory=dict)
    groups: np.ndarray = field(default_factory=lambda: np.ones(0))


def read_arms(
    files: Sequence[Source],
    truth: Path,
    metric: str,
    *,
    count: int = REPLICATES,
    group: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Scored:
    """Score every file against the truth, and again under `count` draws of image weights (0: none).

    `group` says which images belong together, by their file names, as `judge.group` of a study does. Raises DataError
    for files that cannot be read, do not fit the truth, or do not tell their arm and seed; UnknownName for a metric
    that the meter has not.
    """
    pairs = sorted(zip(understood(files), files, strict=True), key=lambda row: (natural(row[0][0]), row[0][1]))
    instances = read_truth(truth)
    labels = _groups(instances, group)
    found, drawn = [], {}
    for (arm, seed), file in pairs:
        progress(f"{arm}, seed {seed}: {file.path}")
        meter = DetectionMeter(instances.classes)
        meter.update(read_detections(file.path, instances), instances.truths)
        items = meter.items()
        scores = {name: float(value[0]) for name, value in meter.score(items, {}).items()}
        _has(metric, scores, truth)
        found.append(Result(arm, seed, scores, curves=meter.curves(items, {})))
        if count:
            drawn[arm, seed] = replicates(meter, items, {}, metric, labels, ("images", truth.name), count)
    return Scored(Reading(found, metric, truth.name, truth.stem), drawn, np.unique(labels, return_counts=True)[1])


def _groups(instances: Instances, group: str | None) -> np.ndarray:
    """The group of every image (I,)."""
    try:
        if group is not None:
            groups.check(group)
        return groups.labels(instances.files, group, [each.group for each in instances.truths])
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"--group: {str(error).removeprefix('judge.group: ')}") from None


def _has(metric: str, scores: Mapping[str, float], truth: Path) -> None:
    if metric not in scores:
        raise UnknownName("metric", metric, [name for name in scores if "/" not in name or "/" in metric], "detections")
    if not np.isfinite(scores[metric]):
        raise DataError(f"{truth}: the truth holds nothing that {metric} counts; choose another --metric")


def understood(files: Sequence[Source]) -> list[tuple[str, int]]:
    """Arm and seed of every file; one file an arm without any seed is one seed for all. Raises DataError."""
    labels = [each.understood() for each in files]
    arms = [arm for arm, _ in labels]
    if all(seed is None for _, seed in labels) and len(set(arms)) == len(arms):
        return [(arm, 0) for arm in arms]
    unknown = [each.path for each, (_, seed) in zip(files, labels, strict=True) if seed is None]
    if unknown:
        read = "; ".join(f"{each.path}: {_words(*label)}" for each, label in list(zip(files, labels, strict=True))[:6])
        raise DataError(f"{len(unknown)} files do not tell their seed; expected {NAMES}. Understood was: {read}")
    made = [(arm, seed) for arm, seed in labels if seed is not None]
    once_each([Result(arm, seed) for arm, seed in made], "the files")
    return made


def _words(arm: str, seed: int | None) -> str:
    return f"arm '{arm}', " + ("no seed" if seed is None else f"seed {seed}")


def judge_files(
    files: Sequence[Source],
    truth: Path,
    metric: str,
    *,
    baseline: str | None = None,
    alpha: float = 0.05,
    paired: bool = True,
    count: int = REPLICATES,
    group: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
    **rules: Any,
) -> Judgement | OneSeed:
    """Verdicts over seeds with intervals over images beside them; of one seed only what it can say.

    `rules` are those of `judged`, which says what is raised, too. Without pairs there is no interval over images.
    """
    name = baseline_of(dict.fromkeys(arm for arm, _ in understood(files)), baseline, truth.name)  # before the work
    scored = read_arms(files, truth, metric, count=count if paired else 0, group=group, progress=progress)
    table = scored.reading.table()
    found = populations(scored, name, alpha)
    if found and max(map(len, table.values())) == 1:
        return one_seed(scored, name, alpha, found)
    reading = replace(scored.reading, populations=found)
    return judged(reading, baseline=name, alpha=alpha, paired=paired, **rules)


def populations(scored: Scored, baseline: str, alpha: float) -> dict[str, Population]:
    """The intervals of every arm but the baseline, over the seeds that both have."""
    found, table = {}, scored.reading.table()
    for arm in table:
        seeds = [seed for seed in table[arm] if (arm, seed) in scored.drawn and (baseline, seed) in scored.drawn]
        if arm != baseline and seeds:
            drawn = [scored.drawn[arm, seed] - scored.drawn[baseline, seed] for seed in seeds]
            effects = [_effect(scored, arm, baseline, seed) for seed in seeds]
            found[arm] = stats.population(effects, np.stack(drawn, axis=1), scored.groups, alpha)  # (n,), (B, n)
    return found


def _effect(scored: Scored, arm: str, baseline: str, seed: int) -> float:
    own, base = (
        next(each.scores for each in scored.reading.results if (each.arm, each.seed) == (name, seed))
        for name in (arm, baseline)
    )
    return own[scored.reading.metric] - base[scored.reading.metric]


def one_seed(scored: Scored, baseline: str, alpha: float, found: Mapping[str, Population]) -> OneSeed:
    """What one seed can say of every arm. Raises DataError where the arms' seeds differ."""
    seeds = {each.seed for each in scored.reading.results}
    if len(seeds) > 1:
        raise DataError(f"every arm has one file, and their seeds differ ({', '.join(map(str, sorted(seeds)))})")
    (seed,) = seeds
    metric = scored.reading.metric
    scores = {each.arm: each.scores[metric] for each in scored.reading.results}
    rows = {arm: (_effect(scored, arm, baseline, seed), population) for arm, population in found.items()}
    return OneSeed(metric, baseline, alpha, scores, rows)


@dataclass(frozen=True)
class OneSeed:
    """What one training an arm can say: scores {arm: score}, and effects with their intervals {arm: (effect, ...)}.

    It is no verdict: `SAID` says what the intervals do not cover.
    """

    metric: str
    baseline: str
    alpha: float
    scores: Mapping[str, float]
    effects: Mapping[str, tuple[float, Population]]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        arms = [
            {"arm": arm, "score": self.scores[arm], "effect": effect, "population": population.as_dict()}
            for arm, (effect, population) in self.effects.items()
        ]
        baseline = {"arm": self.baseline, "score": self.scores[self.baseline]}
        return {
            "metric": self.metric,
            "alpha": self.alpha,
            "baseline": baseline,
            "arms": arms,
            "verdict": None,
            "said": SAID,
        }

    def __str__(self) -> str:
        lines = [f"{self.baseline}: {self.metric} {self.scores[self.baseline]:.4f} (the baseline)"]
        for arm, (effect, population) in self.effects.items():
            low, high = population.images
            level = f"{100 * (1 - self.alpha):g}% interval over images"
            bounds = (
                f"no interval over images: {population.refused}"
                if population.refused
                else (f"{level} [{low:+.4f}, {high:+.4f}]")
            )
            lines.append(f"{arm}: {self.metric} {self.scores[arm]:.4f}, {effect:+.4f}, {bounds}")
        return "\n".join([*lines, SAID])
