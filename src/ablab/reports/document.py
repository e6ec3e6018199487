"""The report as one JSON document: all that the other formats show, in plain data."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ablab.reports import evidence, front, sentences
from ablab.reports.sheets import COSTS
from ablab.reports.view import Arm, Run, View

SCHEMA = 1  # raised when a reader of the document would have to change
INDENTED = 1000  # runs; a larger document is for programs, and indenting it takes ten times as long


def as_document(view: View) -> dict[str, Any]:
    """The report as plain data; NaN and infinity are None."""
    return _finite(
        {
            "schema": SCHEMA,
            "study": {
                "name": view.name,
                "fingerprint": view.fingerprint,
                "version": view.version,
                "created": view.created,
                "design": view.design,
                "seeds": list(view.seeds),
                "baseline": dict(view.recipe),
            },
            "judge": {
                "metric": view.metric,
                "direction": view.direction,
                "smallest_interesting": view.smallest_interesting,
                "alpha": view.alpha,
                "split": view.split,
                "on_divergence": view.on_divergence,
            },
            "overview": sentences.overview(view),
            "conclusion": sentences.conclusion(view),
            "noise": asdict(floor) if (floor := evidence.noise(view)) else None,
            "resolutions": [asdict(row) for row in evidence.resolutions(view)],
            "front": {cost: chances for cost in front.COSTS if (chances := front.chances(view, cost))},
            "label": view.label,
            "warnings": list(view.warnings),
            "arms": [_arm(view, arm) for arm in view.arms],
            "missing": [{"arm": arm.name, "seed": seed} for arm, seed in view.waiting()],
            "looks": list(view.looks),
            "confirm": dict(view.confirm) or None,
            "factorial": dict(view.factorial) or None,
            "data": dict(view.data),
            "final": _final(view),
        }
    )


def as_json(view: View) -> str:
    """The document as JSON text."""
    indent = 1 if sum(len(arm.runs) for arm in view.arms) <= INDENTED else None
    return json.dumps(as_document(view), indent=indent, ensure_ascii=False, allow_nan=False) + "\n"


def _arm(view: View, arm: Arm) -> dict[str, Any]:
    described = evidence.effects(view, arm, [(name, name) for name in view.metrics()]) if arm.kind != "baseline" else []
    return {
        "name": arm.name,
        "kind": arm.kind,
        "because": arm.because,
        "diff": list(arm.diff),
        "finding": sentences.finding(view, arm) if arm.kind != "baseline" else "",
        "verdict": arm.verdict.as_dict() if arm.verdict else None,
        "population": arm.population.as_dict() if arm.population else None,
        "effects": [asdict(effect) for effect in described],
        "scores": {str(seed): score for seed, score in view.judged_scores(arm).items()},
        "cost": {name: arm.cost(name) for name in COSTS},
        "sites": list(arm.plan.get("sites", ())),
        "unreached": list(arm.plan.get("unreached", ())),
        "notes": list(arm.plan.get("notes", ())),
        "runs": [_run(seed, run) for seed, run in arm.runs.items()],
        "pictures": [{"kind": p.kind, "title": p.title, "caption": p.caption, "file": p.file} for p in arm.pictures],
    }


def _run(seed: int, run: Run) -> dict[str, Any]:
    record = run.record
    return {
        "seed": seed,
        "status": record.status,
        "error": record.error,
        "fingerprint": record.key.fingerprint,
        "scores": record.scores,
        "settings": record.settings,
        "cost": record.cost,
        "batch_hash": record.batch_hash,
        "weights_loaded": record.weights_loaded,
        "environment": record.environment,
        "notes": list(record.notes),
        "trained_by": record.trained_by,
    }


def _final(view: View) -> dict[str, Any] | None:
    if not view.final_split:
        return None
    return {
        "split": view.final_split,
        "read": view.final_read,
        "scores": {arm.name: {str(seed): row for seed, row in arm.final_scores.items()} for arm in view.arms},
        "verdicts": [arm.final.as_dict() for arm in view.arms if arm.final],
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
