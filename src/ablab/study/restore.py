"""A finished run, opened again: from its folder to its network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from ablab import registry
from ablab.config import parse
from ablab.contracts import Task
from ablab.engine import checkpoint
from ablab.errors import StoreError
from ablab.recipe import Edit, Recipe
from ablab.records import read_json
from ablab.study import after
from ablab.study.build import build, untaught
from ablab.study.design import Arm


def restore(place: Path, data: str | None = None) -> tuple[Task, nn.Module, Arm, dict[str, float]]:
    """A finished run's task, network with its weights, arm and settings; `data` replaces the recipe's data path.

    The network is the trained one, pruned where the arm prunes, before any export: `after.reopened` has that.

    Raises StoreError where files are missing or damaged, ConfigError where the weights do not fit.
    """
    run = read_json(place / "run.json")
    try:
        arm, facts, settings = _arm(run["arm"]), run["facts"], run["settings"]
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"{place / 'run.json'} is not what a run leaves ({error!r}); restore it, or train again"
        ) from None
    if data:
        path = arm.recipe.data.model_copy(update={"path": data})
        arm = replace(arm, recipe=arm.recipe.model_copy(update={"data": path}))
    bare = replace(arm, recipe=untaught(arm.recipe))
    task: Task = registry.task(arm.recipe.task)[1](bare.recipe, facts=facts)
    model = build(task, bare, 0).model
    after.fitted_to(place / "weights.safetensors", arm, model)
    checkpoint.load_weights(place / "weights.safetensors", model)
    return task, model.eval(), arm, settings


def _arm(data: dict[str, Any]) -> Arm:
    kind = registry.task_recipe(data["recipe"]["task"])
    recipe: Recipe = parse(kind, data["recipe"], "run.json: recipe")
    edits = tuple(parse(Edit, edit, "run.json: edit") for edit in data["edits"])
    made = Arm(data["name"], data["kind"], data["because"], recipe, edits, tuple(data["differences"]), data["stream"])
    return replace(made, after=tuple(data.get("after", ())))
