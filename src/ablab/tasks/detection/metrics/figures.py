"""The averaged figures by name: which area, IoU thresholds, class and cap each of them is the mean of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ablab.contracts import Items
from ablab.tasks.detection.metrics.average import EVERY_STEP, Groups, average_precision_recall
from ablab.tasks.detection.metrics.settings import AREAS

BLOCK = 64  # replicates that are held by class, area and threshold at once


class Figure(NamedTuple):
    """A mean over classes and IoU thresholds: of AP, or of recall where a cap is named. None is all of them."""

    area: int = 0
    step: int | None = None
    label: int | None = None
    cap: int | None = None


def figures(classes: Sequence[str], caps: Sequence[int]) -> dict[str, Figure]:
    """Every name and what it means; `cap` is a place in `caps`."""
    sizes = {size: area for area, size in enumerate(AREAS) if size}
    named = {"AP": Figure(), "AP50": Figure(step=0), "AP75": Figure(step=5)}
    named |= {f"AP{size}": Figure(area) for size, area in sizes.items()}
    named |= {f"AR{cap}": Figure(cap=place) for place, cap in enumerate(caps)}
    named |= {f"AR{size}": Figure(area, cap=len(caps) - 1) for size, area in sizes.items()}
    for label, name in enumerate(classes):
        named |= {f"AP/{name}": Figure(label=label), f"AP50/{name}": Figure(step=0, label=label)}
    return named


def averages(
    items: Items, weights: np.ndarray, named: Mapping[str, Figure], caps: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """The figures that are named under weights (B, images): {name: (B,)}. Only what they need is swept."""
    if not named:
        return {}
    areas = sorted({figure.area for figure in named.values()})
    wanted: Collection[int | None] = {figure.step for figure in named.values()}
    steps = EVERY_STEP if None in wanted else sorted(step for step in wanted if step is not None)
    groups, count = Groups.of(items, areas), len(items["classes"])
    made: dict[str, list[np.ndarray]] = {name: [] for name in named}
    for start in range(0, len(weights), BLOCK):
        ap, ar = average_precision_recall(groups, count, weights[start : start + BLOCK], steps, caps)
        for name, figure in named.items():
            values = (ap if figure.cap is None else ar[..., figure.cap])[:, areas.index(figure.area)]  # (B, K, T)
            values = values if figure.label is None else values[:, [figure.label]]
            made[name].append(_mean(values if figure.step is None else values[..., steps.index(figure.step)]))
    return {name: np.concatenate(parts) for name, parts in made.items()}


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean over all axes but the first, of what is not NaN; NaN where nothing is left.  (B, ...) -> (B,)"""
    flat = values.reshape(len(values), -1)
    present = ~np.isnan(flat)
    count = present.sum(-1)
    return np.divide(np.where(present, flat, 0).sum(-1), count, out=np.full(len(flat), np.nan), where=count > 0)
