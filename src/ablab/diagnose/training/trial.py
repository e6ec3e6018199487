r"""The recipe's learning rate against a tenth of it: two short trainings from the same start on the same batches.

    loss |---._                       start
         |  \  '-.__
         |   \      '--..___  rate        share = (start - rate's end) / (start - tenth's end)
         |    '-..__          tenth
         |__________'---.___________ steps

A rate that learns as much as it should leaves the tenth far behind, since a short training rewards haste (Wu et al.
2018, "Understanding short-horizon bias in stochastic meta-optimization", the other way round: what loses here even to
a tenth of itself will not win later). Each of the two has the whole schedule, warm-up to end, in its few steps: without
the end a high rate is judged by its noise.

The range test cannot tell it alone: on photo-digits (YOLOv5n, AdamW) its loss is flat from a rate of 0.01 to 0.1, and
where in there it was least, `largest`, is luck: 0.081, 0.023, 0.015 under three seeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import nn

from ablab.contracts import Splits, Task
from ablab.engine.events import Events
from ablab.engine.range_test import follow
from ablab.engine.schedule import factor
from ablab.recipe import Recipe
from ablab.stats import critical_t
from ablab.streams import Key

STEPS = 150
PART = 4  # of the recipe's own steps a trial takes one part at most: both together cost half a training
FEWEST = 40  # steps: below, the end of a trial is eight steps or fewer
END = 5  # the last part in so many is a trial's end
LOWER = 10.0  # times lower is the other rate
ALPHA = 0.05


@dataclass(frozen=True)
class Trial:
    """What the two learned. `losses` and `lower_losses` have one number a step, fewer where the loss broke away.

    `start` is the mean loss of the tenth's first tenth of the steps, in which it hardly moves. `worse` is by how much
    the rate's end lies above the tenth's, `error` its standard error over the paired steps; `share` is the rate's fall
    in units of the tenth's, NaN where the tenth's loss never fell. `broke` says that the rate's loss broke away.
    """

    rate: float
    lower: float
    losses: tuple[float, ...]
    lower_losses: tuple[float, ...]
    start: float
    worse: float
    error: float
    share: float
    broke: bool

    @property
    def sure(self) -> bool:
        """Whether the rate ends above the tenth beyond chance."""
        return self.worse > float(critical_t(_window(len(self.lower_losses)), ALPHA)) * self.error


def try_tenth(
    task: Task, model: nn.Module, splits: Splits, recipe: Recipe, *, key: Key, events: Events | None = None
) -> Trial | None:
    """Train two copies of `model`, as it was before training, for a short while; `model` stays as it is.

    None where a quarter of the recipe's own steps is too few to tell.
    """
    batches = -(-len(splits.train if splits.sampling is None else splits.sampling) // recipe.train.batch)
    steps = min(STEPS, recipe.train.epochs * -(-batches // recipe.train.accumulate) // PART)
    if steps < FEWEST:
        return None
    course = np.array([factor(step, steps, recipe.schedule) for step in range(steps)])
    rate, said = recipe.optimizer.lr, "a short trial of the learning rate"
    losses, broke = follow(task, model, splits, recipe, rate * course, key=key, events=events, said=said)
    said = "the same at a tenth of it"
    lower, _ = follow(task, model, splits, recipe, rate / LOWER * course, key=key, events=events, said=said)
    return judge_trial(rate, losses, lower, broke is not None)


def judge_trial(rate: float, losses: list[float], lower: list[float], broke: bool) -> Trial:
    """Conclude from the losses (K,) under `rate` and (L,) under a tenth of it, L the steps that were planned."""
    tenth, seen = np.array(lower), np.array(losses)  # where the tenth broke away too, its last steps are its end
    window = _window(len(tenth))
    start = float(tenth[: max(1, len(tenth) // 10)].mean())
    if broke or len(seen) != len(tenth) or len(tenth) < 2:
        worse, error = math.inf, 0.0
    else:
        apart = (seen - tenth)[-window:]
        worse, error = float(apart.mean()), float(apart.std(ddof=1)) / math.sqrt(window)
    fall = start - float(tenth[-window:].mean())
    share = (fall - worse) / fall if fall > 0 else math.nan
    return Trial(rate, rate / LOWER, tuple(losses), tuple(lower), start, worse, error, share, broke)


def _window(steps: int) -> int:
    return max(2, steps // END)
