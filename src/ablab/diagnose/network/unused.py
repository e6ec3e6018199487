"""Channels that a network carries without using them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ablab.diagnose.network.moments import Moments
from ablab.diagnose.network.running import watched
from ablab.findings import Finding
from ablab.measure.forward import Example, forward, still, tensors
from ablab.measure.seeding import forked

NOTHING = 1e-4  # of the layer's median channel: its weights' norm, its norm's gamma, its output's deviation
UNUSED_SHARE = 0.05  # of a layer's channels, from which it is worth saying
MOST = 0.5  # severity where all of a layer's channels are: a matter of cost, where the layer is not dead
_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.InstanceNorm2d)


@dataclass(frozen=True)
class Unused:
    """Of one layer with weights or one norm: how many channels it gives, and how many of them come to nothing.

    `weightless`: the norm of a filter, or the absolute gamma, is below 1e-4 of the layer's median. `still`: the output
    deviates by less than 1e-4 of the layer's median. `unused` are those that are either.
    """

    name: str
    channels: int
    weightless: int
    still: int
    unused: int


def unused_channels(model: nn.Module, batches: Iterable[Example]) -> tuple[Unused, ...]:
    """Read every convolution, linear layer and norm that runs, in evaluation mode over all batches.

    Gamma near zero as the mark of a channel without use: Liu et al. 2017, https://arxiv.org/abs/1708.06519.
    """
    moments: dict[str, Moments] = {}
    modules = {name: m for name, m in model.named_modules() if isinstance(m, _LAYERS + _NORMS)}

    def note(name: str, output: Any) -> None:
        for tensor in tensors(output):
            moments.setdefault(name, Moments()).add(tensor)

    with ExitStack() as stack:
        stack.enter_context(watched(modules, note))
        stack.enter_context(still(model))
        stack.enter_context(torch.no_grad())
        stack.enter_context(forked("unused channels"))
        for batch in batches:
            forward(model, batch)
    return tuple(_unused(name, modules[name], seen) for name, seen in moments.items())


def _unused(name: str, module: nn.Module, seen: Moments) -> Unused:
    deviation = seen.deviation
    weight = module.weight
    size = (
        weight.detach().double().flatten(1).norm(dim=1) if isinstance(weight, Tensor) and weight.dim() > 1 else weight
    )
    weightless = _nothing(size.detach().abs()) if isinstance(size, Tensor) else torch.zeros(len(deviation)).bool()
    weightless = weightless.to(deviation.device)
    quiet = _nothing(deviation) if seen.count > 1 else torch.zeros_like(weightless)
    return Unused(name, len(deviation), int(weightless.sum()), int(quiet.sum()), int((weightless | quiet).sum()))


def _nothing(sizes: Tensor) -> Tensor:
    """Which are below 1e-4 of the median; all of them where that is zero."""
    return sizes <= NOTHING * sizes.double().median().item()


def unused_findings(found: Sequence[Unused]) -> tuple[Finding, ...]:
    """`unused channels`, where any layer has 5% of them or more."""
    layers = [u for u in found if u.unused >= UNUSED_SHARE * u.channels]
    if not layers:
        return ()
    worst = max(layers, key=lambda u: u.unused / u.channels)
    share = worst.unused / worst.channels
    return (
        Finding(
            "unused channels",
            MOST * share,
            (("share of channels", share), ("channels", worst.unused), ("layers", len(layers))),
            f"{worst.unused} of the {worst.channels} channels of {worst.name or 'the network'} come to nothing "
            f"({worst.weightless} without weights, {worst.still} without variance); {len(layers)} of {len(found)} "
            f"layers have at least {UNUSED_SHARE:.0%} of such.",
        ),
    )
