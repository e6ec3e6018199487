"""The report as CSV: one row an arm, and one row a run. Numbers are whole, not rounded; an unknown one is empty."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from ablab.reports.view import Arm, View, mean

COSTS = ("parameters", "flops", "latency_ms", "latency_iqr_ms", "train_seconds", "peak_memory_mb")
NUMBERS = ("n", "effect", "sd", "p", "p_holm", "p_dunnett", "p_sign_flip", "pairing", "improvement")
RANGES = ("interval", "simultaneous", "equivalence", "fresh_seeds", "improvement_interval")
SPANS = ("images", "both")  # of `population`


def arm_sheet(view: View) -> str:
    """One row an arm, and one a factorial's main effect: verdict, intervals, cost, and the score of every seed."""
    head = ["study", "arm", "kind", "against", "metric", "split", "verdict", "qualifiers", *NUMBERS]
    head += [f"{name}_{end}" for name in RANGES for end in ("low", "high")]
    head += [f"over_{name}_{end}" for name in SPANS for end in ("low", "high")] + ["groups"]
    head += ["mean", *[f"seed_{seed}" for seed in view.seeds], *COSTS, "because", "diff"]
    rows = [_arm_row(view, arm, arm.kind) for arm in view.arms]
    return _sheet(head, rows + [_arm_row(view, effect, "main effect") for effect in view.effects])


def _arm_row(view: View, arm: Arm, kind: str) -> list[Any]:
    verdict, scores = arm.verdict, view.judged_scores(arm)
    against = verdict.against if verdict else ""
    row: list[Any] = [view.name, arm.name, kind, against, view.metric, view.split]
    row += [verdict.verdict, "; ".join(verdict.qualifiers)] if verdict else ["", ""]
    row += [getattr(verdict, name, None) for name in NUMBERS]
    for name in RANGES:
        row += getattr(verdict, name, None) or (None, None)
    for name in SPANS:
        row += getattr(arm.population, name, None) or (None, None)
    row.append(getattr(arm.population, "groups", None))
    row += [mean(list(scores.values())), *[scores.get(seed) for seed in view.seeds]]
    row += [arm.cost(name) for name in COSTS]
    return [*row, arm.because, "; ".join(arm.diff)]


def run_sheet(view: View) -> str:
    """One row a run: status, fingerprint, cost, settings and every score on every split."""
    rows = [(arm, seed, arm.runs[seed].record) for arm, seed in view.expected() if seed in arm.runs]
    costs = sorted({name for _, _, record in rows for name in record.cost})
    settings = sorted({name for _, _, record in rows for name in record.settings})
    columns = list(dict.fromkeys((split, m) for _, _, r in rows for split, scores in r.scores.items() for m in scores))
    final = [(view.final_split, metric) for metric in view.metrics(view.final_split)] if view.final_split else []
    head = ["study", "arm", "seed", "status", "error", "fingerprint", "batch_hash", *costs, *settings]
    head += [f"{split}/{metric}" for split, metric in [*columns, *final]]
    return _sheet(
        head,
        [
            [view.name, arm.name, seed, record.status, record.error, record.key.fingerprint, record.batch_hash]
            + [record.cost.get(name) for name in costs]
            + [record.settings.get(name) for name in settings]
            + [record.scores.get(split, {}).get(metric) for split, metric in columns]
            + [arm.final_scores.get(seed, {}).get(metric) for _, metric in final]
            for arm, seed, record in rows
        ],
    )


def _sheet(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([[_cell(value) for value in row] for row in rows])
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A cell. Text that a spreadsheet would run as a formula gets an apostrophe before it."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
