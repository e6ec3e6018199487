"""How large signals and gradients are, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from ablab.diagnose.network.moments import Moments
from ablab.diagnose.network.running import watched
from ablab.errors import ConfigError
from ablab.findings import Finding
from ablab.measure.forward import still
from ablab.measure.seeding import forked

VANISHING = 1e-4  # first quarter of the layers against the last; sound networks here lie within 1e-2 and 1e2
EXPLODING = 1e4
WORST = 0.85  # severity of nothing arriving at all: less than that of a dead layer, which makes it so


@dataclass(frozen=True)
class Scale:
    """One layer with weights, in the order of first calls.

    `rms` is the root mean square of its outputs; `signal` the same about each channel's mean: what it says of the
    input, without bias. `gradient` is the norm of the loss's gradient with respect to its outputs. Unlike a root
    mean square it does not depend on how many cells a map has; unlike the weights' gradient it is not balanced by a
    signal as much too large as the gradient is too small. None where the loss does not depend on the layer.
    """

    name: str
    rms: float
    signal: float
    gradient: float | None


def scales(model: nn.Module, batch: Any, loss: Callable[[nn.Module, Any], Tensor]) -> tuple[Scale, ...]:
    """Forward and backward once in training mode, where gradients live; `loss(model, batch)` gives a scalar.

    Buffers, gradients and modes are left as they were. Raises ConfigError for a loss that is not a scalar with a graph.
    """
    layers = {name: m for name, m in model.named_modules() if _weighted(m)}
    moments: dict[str, Moments] = {}

    outputs: dict[str, list[Tensor]] = {}

    def note(name: str, output: Any) -> Any:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return None
        moments.setdefault(name, Moments()).add(output)
        outputs.setdefault(name, []).append(output)
        return output.clone()  # what follows may write in place

    with ExitStack() as stack:
        stack.enter_context(watched(layers, note))
        stack.enter_context(still(model))
        stack.enter_context(forked("scales"))
        stack.enter_context(_learning([m.get_parameter("weight") for m in layers.values()]))
        stack.enter_context(torch.enable_grad())
        model.train()
        value = loss(model, batch)
        if value.dim() or not value.requires_grad:
            raise ConfigError(f"expected a scalar loss with a gradient, got the shape {tuple(value.shape)}")
        kept = [(name, output) for name, each in outputs.items() for output in each]
        found = torch.autograd.grad(value, [output for _, output in kept], allow_unused=True)
    squares: dict[str, float] = {}
    for (name, _), gradient in zip(kept, found, strict=True):
        if gradient is not None:
            squares[name] = squares.get(name, 0.0) + float(gradient.double().square().sum())
    return tuple(
        Scale(
            name,
            seen.rms,
            float(seen.deviation.square().mean().sqrt()),
            math.sqrt(squares[name]) if name in squares else None,
        )
        for name, seen in moments.items()
    )


def _weighted(module: nn.Module) -> bool:
    weight = module._parameters.get("weight")
    return weight is not None and weight.dim() > 1


@contextmanager
def _learning(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Frozen weights get a gradient inside."""
    before = [p.requires_grad for p in parameters]
    try:
        for parameter in parameters:
            parameter.requires_grad_(True)
        yield
    finally:
        for parameter, flag in zip(parameters, before, strict=True):
            parameter.requires_grad_(flag)


def scale_findings(found: Sequence[Scale]) -> tuple[Finding, ...]:
    """`not finite`, or `vanishing` and `exploding`, of gradients and of signals.

    A ratio is the median of one quarter of the layers over that of another: the first over the last for gradients,
    which run backwards, the last over the first for signals.
    """
    wild = [s for s in found if not math.isfinite(s.rms) or not math.isfinite(s.gradient or 0.0)]
    if wild:
        sentence = f"{wild[0].name} is the first of {len(wild)} layers whose output or gradient is not finite."
        return (Finding("not finite", 1.0, (("layers", len(wild)),), sentence),)
    gradients = [s.gradient for s in found if s.gradient is not None]
    ratios = {
        "gradients": _ratio(gradients[::-1]),
        "signals": _ratio([s.signal for s in found]),
    }
    findings = []
    for what, ratio in ratios.items():
        if ratio is None or VANISHING < ratio < EXPLODING:
            continue
        fault = f"{'vanishing' if ratio <= VANISHING else 'exploding'} {what}"
        ends = "first layers over the last" if what == "gradients" else "last layers over the first"
        severity = WORST * min(1.0, abs(math.log10(max(ratio, 1e-8))) / 8)
        sentence = (
            f"The {what} of the {ends} are {ratio:.1e}: sound networks stay between {VANISHING:g} and {EXPLODING:g}."
        )
        findings.append(Finding(fault, severity, (("ratio", ratio),), sentence))
    return tuple(findings)


def _ratio(values: Sequence[float]) -> float | None:
    """The last quarter over the first, by medians; None for fewer than two layers or a silent beginning."""
    part = max(1, len(values) // 4)
    if len(values) < 2 or not median(values[:part]):
        return None
    return median(values[-part:]) / median(values[:part])
