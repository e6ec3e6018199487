"""The learning rate as a pure function of the step."""

from __future__ import annotations

import math

from ablab.recipe import ScheduleRecipe


def factor(step: int, steps: int, recipe: ScheduleRecipe) -> float:
    """What the peak rate is multiplied by in `step`, which counts from 0 to `steps` - 1.

    The warm-up rises by equal steps and ends at 1; the cosine starts at 1 and reaches `final` in the last step;
    `constant` stays at 1.

        1 |      __
          |    /    \\        cosine
          |  /         \\ _ final
          +---------------
            warm-up
    """
    warmup = round(recipe.warmup * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if recipe.name == "constant":
        return 1.0
    progress = (step - warmup) / max(1, steps - 1 - warmup)
    return recipe.final + (1 - recipe.final) * (1 + math.cos(math.pi * progress)) / 2
