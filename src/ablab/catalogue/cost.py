"""What the parts of a slot cost: parameters, FLOPs and milliseconds at one size, side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from ablab.catalogue.workload import IN_NETWORKS, SIZES, Size, workload
from ablab.measure import flops, latency, parameters
from ablab.measure.forward import Example
from ablab.registry import Entry

SECONDS = 0.5  # to time the parts of one slot
FEWEST, MOST = 3, 40  # rounds


@dataclass(frozen=True)
class Cost:
    """Parameters and FLOPs (None where the slot has none), the median in ms and its interquartile range.

    `failed` says why there are no numbers.
    """

    parameters: int | None = None
    flops: int | None = None
    ms: float | None = None
    iqr_ms: float | None = None
    failed: str = ""


def costs(entries: Sequence[Entry], size: Size | None = None) -> dict[str, Cost]:
    """The costs of parts of one slot by name, at the slot's reference size where none is given.

    They take turns, round after round, so that a busy machine is busy for all.
    """
    counted: dict[str, Cost] = {}
    models: dict[str, nn.Module] = {}
    example: Example | None = None
    start = time.perf_counter()
    for entry in entries:
        try:
            model, example = workload(entry, size or SIZES[entry.slot][0])
            counted[entry.name] = _counted(entry, model, example)
        except Exception as error:  # a user's own part, which `ablab check` says more about
            counted[entry.name] = Cost(failed=f"{type(error).__name__}: {error}")
        else:
            models[entry.name] = model
    if not models or example is None:
        return counted
    once = max(time.perf_counter() - start, 1e-6) / 2  # counting ran each part about twice
    rounds = int(min(max(SECONDS / once, FEWEST), MOST))
    for name, timed in latency(models, example, rounds, warmup=min(rounds, 3)).items():
        found = counted[name]
        counted[name] = Cost(found.parameters, found.flops, timed.median_ms, timed.iqr_ms)
    return counted


def _counted(entry: Entry, model: nn.Module, example: Any) -> Cost:
    """The counts, and a first pass, which shows whether it runs at all."""
    operations = flops(model, example)
    stands = entry.slot in IN_NETWORKS or entry.slot == "backbone"
    return Cost(parameters(model), operations) if stands else Cost()
