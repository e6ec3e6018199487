"""From an arm to its network: the baseline, its starting weights, then the operation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ablab import surgery, weights
from ablab.config import parse
from ablab.contracts import Task
from ablab.engine.transfer import Transfer, transfer
from ablab.errors import StoreError
from ablab.measure.seeding import forked
from ablab.recipe import Recipe
from ablab.records import EditReport, read_json, write_json
from ablab.study.design import Arm
from ablab.surgery.graft import plain_name


@dataclass(frozen=True)
class Made:
    """A network, what surgery did to it, and what it was given before.

    `weights_loaded` is the share of all pretrained tensors, those of the start's file and of a pretrained backbone,
    that the network holds in the end; None where there are none. `notes` are sentences for the user.
    """

    model: nn.Module
    report: EditReport
    transfer: Transfer | None = None
    weights_loaded: float | None = None
    notes: tuple[str, ...] = ()

    def begin(self, place: Path) -> list[str]:
        """Write what became of every starting tensor into the run's folder; returns what to tell the user."""
        if self.transfer is None:
            return []
        path = place / "weights.json"
        write_json(path, {"file": self.transfer.where, "share": self.transfer.share, "rows": self.transfer.rows})
        return [f"start: {self.transfer}; {path} has all", *self.notes]


def build(task: Task, arm: Arm, seed: int) -> Made:
    """The baseline first, then its starting weights, then the operation: weights that no edit touches are the
    baseline's to the bit (trap 15).

    Raises UserError for weights or edits that do not fit.
    """
    with forked("init", arm.stream, seed, "model"):
        model = task.build()
    given = _pretrained(model)
    moved: Transfer | None = None
    notes: tuple[str, ...] = ()
    missed = 0
    if arm.recipe.start:
        found = weights.read(Path(arm.recipe.start.weights))
        moved = transfer(model, found, arm.recipe.start)
        given |= {row.target for row in moved.of("loaded")}
        missed = moved.held - len(moved.of("loaded"))
        notes = _class_order(found.path, task)
    patient, report = model, EditReport()
    if arm.edits:
        patient, report = surgery.apply(model, arm.edits, example=task.example(), key=(arm.stream, seed))
    total = len(given) + missed
    share = _held(model, patient, given) / total if total else None
    return Made(patient, report, moved, share, notes)


def _pretrained(model: nn.Module) -> set[str]:
    """Names of the tensors of every module that says its weights are pretrained, as a backbone may."""
    owners = [name for name, module in model.named_modules() if getattr(module, "pretrained", False)]
    return {name for name in model.state_dict() for owner in owners if name.startswith(f"{owner}." if owner else "")}


def _held(model: nn.Module, patient: nn.Module, given: set[str]) -> int:
    """How many of the given tensors of the model stand in the patient, equal to the bit.

    Beside an inserted part a module is called `host`, and inside a wrapper `inner`, which is no loss.
    """
    if patient is model:
        return len(given)
    before, now = model.state_dict(), patient.state_dict()
    after = {plain_name(name): tensor for name, tensor in now.items()} | now
    return sum(name in after and torch.equal(before[name], after[name]) for name in given)


def _class_order(path: Path, task: Task) -> tuple[str, ...]:
    """A sentence where the file is a run's and its outputs stood for other classes than here."""
    try:
        facts = read_json(path.parent / "run.json")["facts"]
    except (StoreError, KeyError, TypeError):
        return ()
    theirs, ours = (list(each.get("classes", ())) for each in (facts, task.facts()))
    if not theirs or theirs == ours or len(theirs) != len(ours):  # with another number the outputs have another shape
        return ()
    return (
        f"start: the classes of {path} were {', '.join(theirs)}, and here they are {', '.join(ours)}: what its outputs "
        "stand for has to be learnt anew",
    )


def untaught(recipe: Recipe) -> Recipe:
    """The recipe without anything pretrained: what a finished run is rebuilt from, as its own weights replace all."""
    data = recipe.model_dump()
    data["start"] = data["distill"] = None
    return parse(type(recipe), _without_pretrained(data), "run.json: recipe")


def _without_pretrained(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    made = {key: _without_pretrained(inner) for key, inner in value.items()}
    if set(made) == {"part", "args"} and "pretrained" in made["args"]:
        made["args"] = made["args"] | {"pretrained": False}
    return made
