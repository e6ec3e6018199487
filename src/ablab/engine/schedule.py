"""The learning rate as a pure function of the step."""

from __future__ import annotations

import math

from ablab.recipe import ScheduleRecipe

ONE_CYCLE_START = 1 / 25  # of the peak, as in torch's OneCycleLR and in fastai


def factor(step: int, steps: int, recipe: ScheduleRecipe) -> float:
    """What the peak rate is multiplied by in optimizer step `step`, which counts from 0 to `steps` - 1.

    The warm-up takes round(warmup * steps) steps: it rises by equal ones and ends at 1 (one-cycle: along a cosine, and
    its last step is the peak). Then

        cosine, linear   from 1 to `final`, which the last step has
        constant         1
        step             times `factor` from step round(milestone * steps) on (torch's MultiStepLR)
        one-cycle        from 1 to `final` along a cosine (torch's OneCycleLR with two phases)
        warm-restart     `cycles` cosines from 1 towards `final`, each `growth` times as long as the one before
                         (Loshchilov and Hutter 2017, eq. 5; torch's CosineAnnealingWarmRestarts)
    """
    warmup = round(recipe.warmup * steps)
    if recipe.name == "one-cycle":
        return _one_cycle(step, steps, warmup, recipe.final)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, steps - 1 - warmup)
    match recipe.name:
        case "cosine":
            return _cosine(progress, recipe.final)
        case "linear":
            return 1 + (recipe.final - 1) * progress
        case "step":
            return recipe.factor ** sum(step >= round(share * steps) for share in recipe.milestones)
        case "warm-restart":
            return _cosine(_restarts(step - warmup, steps - warmup, recipe.cycles, recipe.growth), recipe.final)
    return 1.0


def _cosine(progress: float, final: float) -> float:
    """Half a cosine from 1 (at 0) to `final` (at 1)."""
    return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2


def _one_cycle(step: int, steps: int, warmup: int, final: float) -> float:
    peak = max(0, warmup - 1)
    if step < peak:
        return _cosine(1 - step / peak, ONE_CYCLE_START)
    return _cosine((step - peak) / max(1, steps - 1 - peak), final)


def _restarts(step: int, steps: int, cycles: int, growth: float) -> float:
    """How far the cycle is that `step` stands in, from 0 to 1; cycles begin at whole steps."""
    shares = [growth**cycle for cycle in range(cycles)]
    starts = [round(steps * sum(shares[:cycle]) / sum(shares)) for cycle in range(cycles + 1)]
    begin = max(start for start in starts[:-1] if start <= step)
    end = min(start for start in starts if start > step)
    return (step - begin) / (end - begin)
