"""How long a forward pass takes, compared fairly."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from ablab.errors import ConfigError
from ablab.measure.forward import Example, forward, still, tensors


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one forward pass of the whole example: the median and the width of the middle half."""

    median_ms: float
    iqr_ms: float


def latency(
    models: Mapping[str, nn.Module],
    example: Example,
    rounds: int = 20,
    *,
    warmup: int = 3,
    precision: Literal["fp32", "bf16"] = "fp32",
    channels_last: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Latency]:
    """Time every model once a round, in turn, so that a busy spell of the machine falls on all of them alike.

    The first of a round changes from round to round, so that no model always follows the same one. `warmup` rounds
    come before and are not counted. All run in evaluation and inference mode on the example's device.
    """
    if rounds < 1 or not models:
        raise ConfigError(f"latency wants at least one round and one model, got {rounds} and {len(models)}")
    if channels_last:
        example = _channels_last(example)
        models = {n: copy.deepcopy(m).to(memory_format=torch.channels_last) for n, m in models.items()}
    device = next((t.device for t in tensors(example)), torch.device("cpu"))
    with ExitStack() as stack:
        for model in models.values():
            stack.enter_context(still(model))
        stack.enter_context(torch.inference_mode())
        stack.enter_context(torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"))
        calls = {name: partial(_once, model, example, device) for name, model in models.items()}
        return in_turn(calls, rounds, warmup=warmup, clock=clock)


def in_turn(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warmup: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Latency]:
    """Time every call once a round, in turn, as `latency` does; each must have done its work when it returns."""
    names = list(calls)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(warmup + rounds):
        first = turn % max(len(names), 1)
        for name in names[first:] + names[:first]:
            start = clock()
            calls[name]()
            seconds = clock() - start
            if turn >= warmup:
                times[name].append(seconds)
    return {name: _summary(values) for name, values in times.items()}


def _once(model: nn.Module, example: Example, device: torch.device) -> None:
    wait(device)
    forward(model, example)
    wait(device)


def wait(device: torch.device) -> None:
    """Until the device has done what it was given; a processor does it at once."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _summary(seconds: list[float]) -> Latency:
    low, middle, high = 1e3 * np.percentile(seconds, [25, 50, 75])
    return Latency(float(middle), float(high - low))


def _channels_last(value: Any) -> Any:
    """Every (B, C, H, W) tensor of an example in the order (B, H, W, C) in memory."""
    if isinstance(value, torch.Tensor):
        return value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value
    if isinstance(value, Mapping):
        return {name: _channels_last(part) for name, part in value.items()}
    return type(value)(_channels_last(part) for part in value) if isinstance(value, list | tuple) else value
