"""Activations that are called as functions, which no swap of modules can reach (trap 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from ablab.surgery.layout import follow

_NAMES = (
    "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh sigmoid tanh "
    "softplus softsign logsigmoid tanhshrink softshrink hardshrink threshold"
)
_PRODUCTS = frozenset({torch.mul, Tensor.mul, Tensor.mul_, Tensor.__mul__, Tensor.__rmul__, Tensor.__imul__})
_GATED = {"sigmoid(x)": "silu", "hardsigmoid(x)": "hardswish", "tanh(softplus(x))": "mish"}  # what x times it is
_GATE = "_ablab_gate"


def _functions() -> dict[Any, tuple[str, str]]:
    """{function: (kind, how it is spelled)}; a kind is a class's name in small letters without underscores."""
    found: dict[Any, tuple[str, str]] = {}
    for name in _NAMES.split():
        for owner, place in ((functional, "F"), (torch, "torch"), (Tensor, "Tensor")):
            for spelling in (name, f"{name}_"):
                function = getattr(owner, spelling, None)
                if function is not None:
                    found.setdefault(function, (name.replace("_", ""), f"{place}.{spelling}"))
    return found


FUNCTIONS = _functions()
KERNELS = {
    getattr(torch.ops.aten, spelling): name.replace("_", "")
    for name in _NAMES.split()
    for spelling in (name, f"{name}_")
    if hasattr(torch.ops.aten, spelling)
}


@dataclass(frozen=True)
class FunctionalCall:
    """An activation called as a function in the forward of the module `where` ('' is the network itself)."""

    kind: str
    spelling: str
    where: str

    def __str__(self) -> str:
        return f"{self.spelling} in {self.where or 'the forward of the network itself'}"


class Audit(TorchFunctionMode):
    """Notes functional activations while active; `running` gives the modules under way, the innermost last.

    Written out by hand (`x * sigmoid(x)`) counts as one. Those of scripted code and of fused layers, which Python does
    not see, are known by their kernels. On the way the layout of every map is followed.
    """

    def __init__(self, running: Callable[[], Sequence[nn.Module]], names: Mapping[int, str]) -> None:
        super().__init__()
        self.running, self.names = running, names
        self.calls: dict[FunctionalCall, None] = {}  # a set that keeps its order
        self.known = False  # whether an activation that was noted is under way
        self.kernels = ExitStack()

    def __enter__(self) -> Audit:
        self.kernels.enter_context(_Kernels(self))
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self.kernels.close()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        found = FUNCTIONS.get(func)
        if found:
            self.note(*found)
        elif func in _PRODUCTS and (gate := _gate_of(args)) in _GATED:
            self.note(_GATED[gate], f"x * {gate}")
        before, self.known = self.known, self.known or bool(found)
        try:
            output = func(*args, **named)
        finally:
            self.known = before
        if found:
            _mark_gate(found[0], args[:1], output)
        follow(func, args, named, output)
        return output

    def note(self, kind: str, spelling: str) -> None:
        """Write a call down, but not that of `nn.SiLU` and its like."""
        running = self.running()[-1:]
        if not is_torch_activation(running):
            where = self.names.get(id(running[0]), "") if running else ""
            self.calls[FunctionalCall(kind, spelling, where)] = None


class _Kernels(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the activations that run below Python, each by its kernel."""

    def __init__(self, audit: Audit) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.audit = audit

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kind = KERNELS.get(func.overloadpacket)
        if kind and not self.audit.known:
            kind = "relu6" if kind == "hardtanh" and args[1:] == (0, 6) else kind
            self.audit.note(kind, f"aten::{func.overloadpacket.__name__}")
        return func(*args, **(kwargs or {}))


def is_torch_activation(innermost: Sequence[nn.Module]) -> bool:
    """Whether the call comes from `nn.SiLU` and its like, whose own forward is the function."""
    return any(type(module).__module__ == "torch.nn.modules.activation" for module in innermost)


def _mark_gate(kind: str, args: tuple[Any, ...], output: Any) -> None:
    """Remember of a tensor that it is `sigmoid(x)`, and of which x; `tanh(softplus(x))` is one of x too."""
    if args and output is not args[0]:
        source, inner = getattr(args[0], _GATE, (None, ""))
        known = kind == "tanh" and inner == "softplus(x)"
        setattr(output, _GATE, (source, f"tanh({inner})") if known else (args[0], f"{kind}(x)"))


def _gate_of(factors: tuple[Any, ...]) -> str:
    """Of a product, the factor that is a function of the other: `sigmoid(x)`; '' where none is."""
    for one, other in (factors, factors[::-1]) if len(factors) == 2 else ():
        source, gate = getattr(one, _GATE, (None, ""))
        if gate and source is other:
            return str(gate)
    return ""
