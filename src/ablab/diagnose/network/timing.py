"""Where the time of a forward pass goes, module by module."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ablab.errors import ConfigError
from ablab.measure.forward import Example, forward, still, tensors
from ablab.measure.latency import wait
from ablab.measure.seeding import forked


@dataclass(frozen=True)
class LayerTime:
    """Milliseconds that a module spends itself, without those inside it, over all its calls of one pass: the median."""

    name: str
    kind: str
    exclusive_ms: float
    calls: int


@dataclass(frozen=True)
class Timing:
    """`layers`, the slowest first; `whole_ms`, their sum; `plain_ms`, the median pass without clocks.

    Within a round the layers' times sum exactly to the pass. Each is then a median over rounds, so a busy spell that
    falls on one layer a round is in none of them, but in `plain_ms`: where `whole_ms` is more than a quarter below it,
    the machine was busy. Above it `whole_ms` holds the clocks, a microsecond or two a call.
    """

    layers: tuple[LayerTime, ...]
    whole_ms: float
    plain_ms: float


def layer_times(
    model: nn.Module,
    example: Example,
    rounds: int = 20,
    *,
    warmup: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Time every module in evaluation mode on the example's device; rounds with and without clocks alternate.

    Raises ConfigError for less than one round.
    """
    if rounds < 1:
        raise ConfigError(f"layer times want at least one round, got {rounds}")
    device = next((t.device for t in tensors(example)), torch.device("cpu"))
    kept: list[dict[str, tuple[float, int]]] = []
    plain: list[float] = []

    def now() -> float:
        wait(device)
        return clock()

    with still(model), torch.inference_mode(), forked("layer times"):
        for turn in range(warmup + rounds):
            start = now()
            forward(model, example)
            seconds = now() - start
            with _clocks(model, now) as spent:
                forward(model, example)
            if turn >= warmup:
                plain.append(seconds)
                kept.append({name: (sum(each), len(each)) for name, each in spent.items()})
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    layers = [
        LayerTime(name, kinds[name], 1e3 * float(np.median([round_[name][0] for round_ in kept])), kept[0][name][1])
        for name in kept[0]
    ]
    layers.sort(key=lambda layer: -layer.exclusive_ms)
    return Timing(tuple(layers), sum(layer.exclusive_ms for layer in layers), 1e3 * float(np.median(plain)))


@contextmanager
def _clocks(model: nn.Module, now: Callable[[], float]) -> Iterator[dict[str, list[float]]]:
    """{module's name: seconds of each of its calls, without the calls inside}, filled while the model runs."""
    spent: dict[str, list[float]] = defaultdict(list)
    inner: list[float] = []  # seconds spent in calls inside each module under way
    starts: list[float] = []

    def enter() -> None:
        inner.append(0.0)
        starts.append(now())

    def leave(name: str) -> None:
        whole = now() - starts.pop()
        spent[name].append(whole - inner.pop())
        if inner:
            inner[-1] += whole

    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.callback(module.register_forward_pre_hook(lambda m, args: enter()).remove)
            stack.callback(module.register_forward_hook(lambda m, args, out, name=name: leave(name)).remove)
        yield spent
