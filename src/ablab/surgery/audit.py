"""Activations that are called as functions, which no swap of modules can reach (trap 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_NAMES = (
    "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh sigmoid tanh "
    "softplus softsign logsigmoid tanhshrink softshrink hardshrink"
)


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


@dataclass(frozen=True)
class FunctionalCall:
    """An activation called as a function in the forward of the module `where` ('' is the network itself)."""

    kind: str
    spelling: str
    where: str

    def __str__(self) -> str:
        return f"{self.spelling} in {self.where or 'the forward of the network itself'}"


class Audit(TorchFunctionMode):
    """Notes functional activations while active; `running` gives the modules under way, the innermost last."""

    def __init__(self, running: Callable[[], Sequence[nn.Module]], names: Mapping[int, str]) -> None:
        super().__init__()
        self.running, self.names = running, names
        self.calls: dict[FunctionalCall, None] = {}  # a set that keeps its order

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kind = FUNCTIONS.get(func)
        if kind and not is_torch_activation(self.running()[-1:]):
            where = self.names.get(id(self.running()[-1]), "") if self.running() else ""
            self.calls[FunctionalCall(*kind, where)] = None
        return func(*args, **(kwargs or {}))


def is_torch_activation(innermost: Sequence[nn.Module]) -> bool:
    """Whether the call comes from `nn.SiLU` and its like, whose own forward is the function."""
    return any(type(module).__module__ == "torch.nn.modules.activation" for module in innermost)
