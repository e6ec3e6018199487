"""The chapter "training": what a run's curves, its learning rate and its study's scores say, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ablab.diagnose.training.course import QUARTERS
from ablab.diagnose.training.curves import Curves, curve_findings, read_curves
from ablab.diagnose.training.rate import rate_findings, reached
from ablab.diagnose.training.seeds import seed_findings
from ablab.diagnose.training.trial import Trial
from ablab.engine.range_test import RangeTest
from ablab.findings import Chapter, Finding
from ablab.recipe import Recipe
from ablab.records import RunRecord
from ablab.stats import Components, components


def read_training(
    history: Mapping[str, Sequence[float]],
    record: RunRecord,
    recipe: Recipe,
    metric: str,
    direction: str,
    rates: RangeTest | None = None,
    study_scores: Mapping[str, Mapping[int, float]] | None = None,
    trial: Trial | None = None,
) -> Chapter:
    """Read a training: `history` is `curves.csv` as {column: one number an epoch, NaN where a cell is empty}.

    `metric` and `direction` are the judge's; `rates` the range test of the recipe, `trial` its learning rate against a
    tenth of it (`try_tenth`); `study_scores` {arm: {seed: score}} of the study that the run belongs to.

    The chapter's numbers hold "metric", "direction", "rate" (the recipe's peak), "history", "range" (the fields of
    `RangeTest`), "trial" (of `Trial`), and "readings": "curves" (of `Curves`), "seeds" (of `Components`),
    "diverged" and "reached", the rate by which the range test's loss had fallen.
    What was not read is None, and a note says why.
    """
    read = read_curves(history, metric, direction, clip_norm=recipe.train.clip_norm)
    parts = components(study_scores) if study_scores else None
    diverged = record.status == "diverged"
    found = [
        *rate_findings(recipe, read, rates, trial, diverged),
        *curve_findings(read),
        *(seed_findings(parts) if parts else ()),
    ]
    readings = {
        "curves": asdict(read),
        "seeds": asdict(parts) if parts else None,
        "diverged": diverged,
        "reached": reached(rates),
    }
    numbers: dict[str, Any] = {
        "metric": metric,
        "direction": direction,
        "rate": recipe.optimizer.lr,
        "history": {name: list(values) for name, values in history.items()},
        "range": asdict(rates) if rates else None,
        "trial": asdict(trial) if trial else None,
        "readings": readings,
    }
    return Chapter("training", numbers, _ranked(found), notes=_notes(read, recipe, rates, trial, parts, study_scores))


def _ranked(found: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda finding: -finding.severity))


def _notes(
    read: Curves,
    recipe: Recipe,
    rates: RangeTest | None,
    trial: Trial | None,
    parts: Components | None,
    study_scores: Mapping[str, Mapping[int, float]] | None,
) -> tuple[str, ...]:
    notes = []
    if read.loss is None:
        notes.append(f"{read.epochs} epochs make no curve: too short, underfitting and overfitting were not looked for")
    elif read.metric is None:
        notes.append(
            f"validation {read.name} was not followed, so overfitting was not looked for: set train.validate_every"
        )
    elif recipe.train.validate_every and read.metric.values < QUARTERS:
        notes.append(f"{read.metric.values} validations are too few to tell overfitting: it takes {QUARTERS}")
    if rates is None and trial is None:
        notes.append("the learning rate was not tried: a rate too high need not show in the curves")
    elif trial is None:
        notes.append("no trial of the learning rate against a tenth of it: only the range test judged it")
    if study_scores and parts is None:
        notes.append("fewer than two arms or two seeds that all arms share: arms and seeds were not compared")
    return tuple(notes)
