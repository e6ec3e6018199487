"""Which units of a network never fire, and which gates stand at an end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ablab.diagnose.network.moments import Moments
from ablab.diagnose.network.running import running
from ablab.errors import ConfigError
from ablab.findings import Finding
from ablab.measure.forward import Example, forward, still, tensors
from ablab.measure.seeding import forked

PASSED = 1e-3  # a unit that lets through less of its input's deviation than this is dead; silu(-10 + x) passes 5e-4
DEAD_SHARE = (
    0.4  # of a layer's units: "as much as 40% of your network can be dead" (cs231n.github.io/neural-networks-1)
)
DEAD_LAYER = 0.95  # of a layer's units: nothing of the image passes it
CRIPPLED = 0.9  # severity of a dead layer, and the most for what is short of it
SYMPTOM = 0.7
NEAR_END = 0.01  # of a gate's range
SATURATED_SHARE = 0.9  # of a gate's outputs; the middle nine tenths of a logit of deviation 2.8 are not within 1%
_ENDS = {"sigmoid": (0.0, 1.0), "hardsigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
_ACTIVATIONS = "relu leaky_relu _prelu_kernel rrelu_with_noise elu celu gelu silu mish hardswish hardtanh softplus"


def _kernels() -> dict[Any, str]:
    names = [*_ENDS, *_ACTIVATIONS.split()]
    spelled = [(f"{name}{end}", name.strip("_").removesuffix("_kernel")) for name in names for end in ("", "_")]
    return {getattr(torch.ops.aten, s): name for s, name in spelled if hasattr(torch.ops.aten, s)}


KERNELS = _kernels()


@dataclass(frozen=True)
class Activity:
    """One call of an activation: `name` is its module's, with `#2` for the second call of a shared one.

    `dead` is the share of its channels that give the same whatever they are given, `saturated` the share of a gate's
    outputs within 1% of its range of an end (None where it is no gate). `rms` is of its outputs.
    """

    name: str
    kind: str
    units: int
    dead: float
    saturated: float | None
    rms: float


@dataclass
class _Call:
    kind: str
    before: Moments
    after: Moments
    ended: int = 0
    leaves: bool = False  # its output is the network's: a score, not a gate


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Meets activations at their kernels, so that those called as functions or from scripts are met too."""

    def __init__(self, stack: Sequence[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stack = stack
        self.calls: dict[str, _Call] = {}
        self.turn: Counter[str] = Counter()
        self.outputs: list[tuple[_Call, Tensor]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kind = KERNELS.get(func.overloadpacket)
        if kind is None or args[0].dim() < 2:
            return func(*args, **(kwargs or {}))
        where = self.stack[-1] if self.stack else ""
        self.turn[where] += 1
        name = where + (f"#{self.turn[where]}" if self.turn[where] > 1 else "")
        call = self.calls.setdefault(name, _Call(kind, Moments(), Moments()))
        call.before.add(args[0])  # first, since the kernel may write in place
        output: Tensor = func(*args, **(kwargs or {}))
        call.after.add(output)
        if kind in _ENDS:
            low, high = _ENDS[kind]
            margin = NEAR_END * (high - low)
            call.ended += int(((output < low + margin) | (output > high - margin)).sum())
            self.outputs.append((call, output))
        return output


def activities(model: nn.Module, batches: Iterable[Example]) -> tuple[Activity, ...]:
    """Run the model over batches in evaluation mode and read every activation, in the order of the first run.

    A unit is a channel; it is dead where the deviation of its outputs over all samples and positions is less than 1e-3
    of that of its inputs: a ReLU below zero everywhere, a SiLU far below, or one that is given a constant. A sigmoid
    whose result is the network's own output is left out: it is a score.

    Raises ConfigError where there is no batch.
    """
    with running(model) as stack, still(model), torch.no_grad(), forked("activities"):
        watch, ran = _Watch(stack), False
        for batch in batches:
            watch.turn.clear()
            watch.outputs.clear()
            with watch:
                output = forward(model, batch)
            given = {id(tensor) for tensor in tensors(output)}
            for call, gate in watch.outputs:
                call.leaves |= id(gate) in given
            ran = True
        watch.outputs.clear()
    if not ran:
        raise ConfigError("activities are read over batches, and there is none: give at least one")
    return tuple(_activity(name, call) for name, call in watch.calls.items() if not call.leaves)


def _activity(name: str, call: _Call) -> Activity:
    before, after = call.before.deviation, call.after.deviation
    judged = call.after.count > 1  # one value alone does not vary
    dead = float((after <= PASSED * before).double().mean()) if judged else 0.0
    if call.kind not in _ENDS:
        return Activity(name, call.kind, len(after), dead, None, call.after.rms)
    # A gate at an end passes nothing on by its nature: what it is judged by is that end alone.
    return Activity(name, call.kind, len(after), 0.0, call.ended / (call.after.count * len(after)), call.after.rms)


def activity_findings(found: Sequence[Activity]) -> tuple[Finding, ...]:
    """`dead layer` or `dead units`, and `saturated gates`, each named by its worst layer, the first of several."""
    findings = []
    if dead := [a for a in found if a.dead >= DEAD_SHARE]:
        worst = max(dead, key=lambda a: a.dead)
        whole = worst.dead >= DEAD_LAYER
        findings.append(
            Finding(
                "dead layer" if whole else "dead units",
                CRIPPLED if whole else SYMPTOM * worst.dead,
                (("share of units", worst.dead), ("units", worst.units), ("layers", len(dead))),
                f"{worst.dead:.0%} of the {worst.units} units of {worst.name or 'the network'} ({worst.kind}) never "
                f"fire; so in {len(dead)} of {len(found)} activations at least {DEAD_SHARE:.0%} are dead.",
            )
        )
    gates = [(a.saturated, a) for a in found if a.saturated is not None]
    if stuck := [pair for pair in gates if pair[0] >= SATURATED_SHARE]:
        share, gate = max(stuck, key=lambda pair: pair[0])
        findings.append(
            Finding(
                "saturated gates",
                SYMPTOM * share,
                (("share of outputs", share), ("gates", len(stuck))),
                f"{share:.0%} of the outputs of {gate.name or 'the network'} ({gate.kind}) stand within "
                f"{NEAR_END:.0%} of an end, where it passes no gradient; so do {len(stuck)} of {len(gates)} gates.",
            )
        )
    return tuple(findings)
