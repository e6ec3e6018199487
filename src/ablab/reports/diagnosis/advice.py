"""Proposals in words: what there is to win, what it costs, and the change as a study takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablab.reports import numerals
from ablab.reports.diagnosis import fields

COSTS = {"parameters": "parameters", "flops": "FLOPs", "latency_ms": "latency", "train_seconds": "training"}


def gain(proposal: Mapping[str, Any]) -> str:
    """`at most +0.031 AP50`; what nothing bounds is not known."""
    found = fields.number(proposal, "gain")
    if found is None:
        return ""
    return f"at most {numerals.signed(found)} {fields.text(proposal, 'metric')}".strip()


def cost(proposal: Mapping[str, Any]) -> str:
    """`FLOPs +56%, latency +48%`, of what the run costs itself; empty where it was not measured."""
    known = {label: fields.number(proposal, "cost", name) for name, label in COSTS.items()}
    if all(ratio is None for ratio in known.values()):
        return ""
    changed = [f"{label} {change}" for label, ratio in known.items() if (change := numerals.change(ratio, 1.0))]
    return ", ".join(changed) or "nothing"


def as_yaml(proposal: Mapping[str, Any]) -> str:
    """The change as an entry of a study's `changes`; empty for what a person has to do."""
    import yaml

    parts = {"set": dict(fields.table(proposal, "set")), "edits": fields.rows(proposal, "edits")}
    kept = {name: part for name, part in parts.items() if part}
    if not kept:
        return ""
    entry = {name: value for name in ("name", "because") if (value := fields.text(proposal, name))}
    return str(yaml.safe_dump([entry | kept], sort_keys=False, allow_unicode=True, width=88, default_flow_style=None))
