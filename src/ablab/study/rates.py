"""The learning rate range test of a recipe, or of a study's baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ablab import registry
from ablab.engine.events import Events, working
from ablab.engine.range_test import RangeTest, range_test
from ablab.recipe import Recipe
from ablab.study.build import build
from ablab.study.design import BASELINE, Arm
from ablab.study.single import read_recipe
from ablab.study.teacher import taught


def try_rates(
    recipe: Path | None,
    changes: Mapping[str, Any],
    seed: int,
    plugins: Sequence[Path],
    events: Events,
    *,
    steps: int = 100,
    low: float = 1e-6,
    high: float = 1.0,
) -> tuple[RangeTest, Recipe]:
    """Run the range test on the network that `ablab train` would train, starting weights included; and its recipe.

    Raises UserError for a recipe, data or range that does not fit.
    """
    registry.load_plugins(list(plugins))
    made = read_recipe(recipe, changes)
    arm = Arm(BASELINE, "baseline", "", made, stream="train")
    task = taught(registry.task(made.task)[1](made), made)
    torch.set_num_threads(made.train.threads)
    with working(events, "read the data", 1):
        splits = task.data((arm.stream, seed))
    model = build(task, arm, seed).model
    key = (arm.stream, seed)
    found = range_test(task, model, splits, made, key=key, steps=steps, low=low, high=high, events=events)
    return found, made
