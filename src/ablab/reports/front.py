"""The accuracy-cost front of a view: who is on it by the means, and with which probability."""

from __future__ import annotations

import math

import numpy as np

from ablab import stats
from ablab.reports.view import Arm, View, mean

COSTS = {"parameters": "parameters", "flops": "FLOPs", "latency_ms": "latency"}  # cost: its name in words


def _placed(view: View, cost: str) -> list[Arm]:
    """Arms whose cost and score are known; controls that repeat the baseline are no choice, so they stay out."""
    return [arm for arm in view.arms if arm.name != "a/a" and arm.cost(cost) is not None and view.judged_scores(arm)]


def chances(view: View, cost: str) -> dict[str, float]:
    """{arm: probability of being on the front}; empty where no cost differs or it is not known of two arms."""
    arms = _placed(view, cost)
    costs = {arm.name: float(arm.cost(cost) or 0) for arm in arms}
    if len(set(costs.values())) < 2:
        return {}
    scores = {arm.name: view.judged_scores(arm) for arm in arms}
    found = stats.front_probability(scores, costs, direction="max" if view.direction == "max" else "min")
    return {name: chance for name, chance in found.items() if math.isfinite(chance)}


def members(view: View, cost: str) -> list[tuple[float, float]]:
    """(cost, mean score) of the arms on the front of the means, the cheapest first; empty as `chances` is."""
    arms = _placed(view, cost)
    costs = [float(arm.cost(cost) or 0) for arm in arms]
    if len(set(costs)) < 2:
        return []
    means = [mean(list(view.judged_scores(arm).values())) or 0.0 for arm in arms]
    sign = 1 if view.direction == "max" else -1
    kept = stats.on_front(sign * np.array(means), costs)
    return sorted((price, centre) for price, centre, on in zip(costs, means, kept, strict=True) if on)
