"""The study that tests a diagnosis's proposals against the run as it is, and what each would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ablab.diagnose.patient import Patient
from ablab.engine.events import Events
from ablab.errors import UserError
from ablab.findings import Proposal
from ablab.records import slug
from ablab.study import spec
from ablab.study.plan import plan
from ablab.study.spec import Study

SEEDS = 5  # statistics.md: below, a verdict is a screening
NETWORK = ("model", "train.image_size")  # what a forward pass depends on
COSTS = {"parameters": "parameters", "flops": "flops", "latency_ms": "latency_ms", "train_seconds": "run_seconds"}


def next_study(patient: Patient, proposals: Sequence[Proposal]) -> dict[str, Any]:
    """A study file's content: the run's recipe as baseline, a change a ready proposal.

    Where the run is an arm with edits of its own, that arm is a change, and every other change has its edits, too.
    """
    arm, judge = patient.arm, patient.judge
    own = [edit.model_dump(mode="json", exclude_defaults=True) for edit in arm.edits]
    changes: list[dict[str, Any]] = [{"name": arm.name, "because": arm.because, "edits": own}] if own else []
    for each in proposals:
        if each.ready:
            change: dict[str, Any] = {"name": each.name, "because": each.because}
            change |= {"set": dict(each.set)} if each.set else {}
            edits = [*own, *map(dict, each.edits)]
            changes.append(change | ({"edits": edits} if edits else {}))
    return {
        "name": f"next-{slug(arm.name)}",
        "baseline": {"task": arm.recipe.task, **arm.recipe.model_dump(mode="json", exclude_defaults=True)},
        "changes": changes,
        "seeds": SEEDS,
        "judge": judge.model_dump(mode="json", exclude_defaults=True) | {"metric": judge.metric},
    }


def as_yaml(content: dict[str, Any]) -> str:
    """The file's text."""
    head = "# What `ablab diagnose` proposes, each against the run as it was. Take out what you do not believe in.\n"
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def read(content: dict[str, Any]) -> Study:
    """The study, checked."""
    return spec.build(content, "the next study", Path.cwd())


def priced(
    patient: Patient, proposals: Sequence[Proposal], events: Events
) -> tuple[list[Proposal], dict[str, dict[str, float]], list[str]]:
    """Pre-flight every ready proposal: those that stand, {name: cost as a ratio to the run's own}, and notes.

    A proposal that cannot be built is left out, and a note says why.
    """
    kept, notes = list(proposals), []
    while any(each.ready for each in kept):
        try:
            rows = {row["arm"]: row for row in plan(read(next_study(patient, kept)), [], events, jobs=1)["arms"]}
        except UserError as error:
            bad = _unfit(patient, kept, events)
            if not bad:
                notes.append(f"the proposals could not be priced: {error}")
                return kept, {}, notes
            notes += [f"left out '{each.name}', which cannot be built: {why}" for each, why in bad]
            kept = [each for each in kept if each not in [one for one, _ in bad]]
            continue
        base = rows[patient.arm.name if patient.arm.edits else "baseline"]
        return kept, {each.name: _ratios(each, rows[each.name], base) for each in kept if each.ready}, notes
    return kept, {}, notes


def _ratios(each: Proposal, row: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, float]:
    """Costs over the run's own; the same network takes the same time, whatever a clock says of it twice."""
    same = not each.edits and not any(path.startswith(NETWORK) for path in each.set)
    ratios = {name: row[column] / base[column] for name, column in COSTS.items()}
    return ratios | {"latency_ms": 1.0} if same else ratios


def _unfit(patient: Patient, proposals: Sequence[Proposal], events: Events) -> list[tuple[Proposal, str]]:
    """The ready proposals that cannot be planned alone, and why."""
    bad = []
    for each in proposals:
        if each.ready:
            try:
                plan(read(next_study(patient, [each])), [], events, jobs=1)
            except UserError as error:
                bad.append((each, str(error)))
    return bad
