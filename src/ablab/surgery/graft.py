"""Put modules into a network: in place of others, around them, or one a call."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ablab.errors import SurgeryError
from ablab.surgery.structure import has_state

HOST = "host"
INNER = "inner"


class Joint(nn.Sequential):
    """A module, called `host`, with parts inserted before and after it. The host gets all arguments of the call."""

    def forward(self, input: Tensor, *args: Any, **kwargs: Any) -> Any:
        x: Any = input
        for name, module in self.named_children():
            x = module(x, *args, **kwargs) if name == HOST else module(x)
        return x

    @classmethod
    def of(cls, host: nn.Module, part: nn.Module, name: str, before: bool) -> Joint:
        """Join a part to a host; a host that is a joint already takes it in at the near end."""
        children = dict(host.named_children()) if isinstance(host, Joint) else {HOST: host}
        joint = cls(OrderedDict({name: part} | children if before else children | {name: part}))
        joint.training = host.training  # not train(), which would also reach a frozen norm inside the host
        return joint


class PerCall(nn.ModuleList):
    """Several parts in the place of one module that its owner calls several times: the n-th part serves the n-th call.

    Counting starts anew with each forward of the owner (`CountFromZero`), in each thread for itself.
    """

    def __init__(self, parts: Iterable[nn.Module]) -> None:
        super().__init__(parts)
        self.calls = {0: 0}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        thread = _thread()
        turn = self.calls.get(thread, 0)
        if turn >= len(self):
            raise SurgeryError(
                f"a module that surgery split into {len(self)} parts, one a call, is called once more: its owner's "
                f"forward takes another path than on the example, or ran by .forward() instead of a call"
            )
        self.calls[thread] = turn + 1
        return self[turn](*args, **kwargs)


class CountFromZero:
    """A forward pre-hook of the owner. It finds the parts by name, so that a copy of the owner resets its own."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self, owner: nn.Module, args: Any) -> None:
        parts = _parts(owner, self.path)
        if parts is not None:
            parts.calls[_thread()] = 0


class EachServed(CountFromZero):
    """A forward hook of the owner: a forward that left calls out, as one that drops layers, gave parts that learn to
    other layers than theirs."""

    def __call__(self, owner: nn.Module, args: Any, output: Any = None) -> None:
        parts = _parts(owner, self.path)
        if parts is not None and 0 < parts.calls.get(_thread(), 0) < len(parts) and has_state(parts):
            raise SurgeryError(
                f"{self.path}, which surgery split into {len(parts)} parts, one a call, was called "
                f"{parts.calls[_thread()]} times: {type(owner).__name__}'s forward takes another path than on the "
                f"example, so that it cannot be told which part belongs to which call; give each call its own module"
            )


def _parts(owner: nn.Module, path: str) -> PerCall | None:
    """The parts under that name; None where a later edit put something else there."""
    try:
        found = owner.get_submodule(path)
    except AttributeError:
        return None
    return found if isinstance(found, PerCall) else None


def _thread() -> int:
    """Whose count it is. What compiles or exports a forward follows it once, and cannot look up threads."""
    return 0 if torch.compiler.is_compiling() else threading.get_ident()


def plain_name(name: str) -> str:
    """A tensor's name before parts were inserted beside its module or wrapped around it: no `host`, no `inner`."""
    *steps, last = name.split(".")
    return ".".join([step for step in steps if step not in (HOST, INNER)] + [last])


def put(model: nn.Module, name: str, module: nn.Module) -> None:
    """Make `module` stand under `name`."""
    above, _, last = name.rpartition(".")
    owner = model.get_submodule(above)
    setattr(owner, last, module)
    if isinstance(owner, nn.TransformerEncoderLayer):
        owner.activation_relu_or_gelu = 0  # no fused path: in evaluation it would pass by the module that stands here
