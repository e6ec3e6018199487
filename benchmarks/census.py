"""Which activations a network really runs, counted by their kernels: what surgery says is held against this.

Shares no code with surgery: hooks of its own tell the place, and torch's dispatcher tells the kernel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ablab.measure.forward import Example, forward

KERNELS = "relu silu gelu mish hardswish hardsigmoid sigmoid tanh leaky_relu elu hardtanh softplus"
_KINDS = {
    getattr(torch.ops.aten, spelling): name.replace("_", "")
    for name in KERNELS.split()
    for spelling in (name, f"{name}_")
    if hasattr(torch.ops.aten, spelling)
} | {torch.ops.aten._prelu_kernel: "prelu"}
_BY_HAND = {"silu": torch.sigmoid, "hardswish": F.hardsigmoid, "mish": lambda x: F.softplus(x).tanh()}


def activations(model: nn.Module, example: Example, but: Iterable[str] = ()) -> Counter[tuple[str, str]]:
    """{(kind, name of the innermost module that runs): kernels}, without those inside the modules named in `but`."""
    names = {id(module): name for name, module in model.named_modules()}
    left_out = {id(model.get_submodule(name)) for name in but}
    running: list[nn.Module] = []
    counted: Counter[tuple[str, str]] = Counter()

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kind = kind_of(func.overloadpacket, args)
            if kind and not any(id(module) in left_out for module in running):
                counted[kind, names[id(running[-1])] if running else ""] += 1
            return func(*args, **(kwargs or {}))

    handles = []
    for module in model.modules():
        handles.append(module.register_forward_pre_hook(lambda m, _: running.append(m)))
        handles.append(module.register_forward_hook(lambda *_: running.__delitem__(-1)))
    try:
        with torch.no_grad(), Count():
            forward(model, example)
    finally:
        for handle in handles:
            handle.remove()
    return counted


def kind_of(packet: Any, args: tuple[Any, ...]) -> str:
    """The activation that a kernel computes; a product of x and a known function of x counts, whoever wrote it."""
    kind = _KINDS.get(packet, "")
    if kind == "hardtanh" and tuple(args[1:]) == (0, 6):
        return "relu6"
    if packet in (torch.ops.aten.mul, torch.ops.aten.mul_) and all(isinstance(arg, Tensor) for arg in args):
        one, other = args
        if one.shape == other.shape and one.is_floating_point() and one.dtype == other.dtype and one.numel() > 1:
            varied = one.min() < one.max() and other.min() < other.max()
            pairs = ((one, other), (other, one)) if varied else ()
            return next((k for k, gate in _BY_HAND.items() for x, y in pairs if torch.allclose(gate(x), y)), "")
    return kind


def _run(model: nn.Module, example: Example, note: Callable[[str, Any], object]) -> None:
    """Run the network; `note` is told the name and the output of every module that runs."""
    handles = [
        module.register_forward_hook(lambda _, __, output, name=name: note(name, output))
        for name, module in model.named_modules()
    ]
    try:
        with torch.no_grad():
            forward(model, example)
    finally:
        for handle in handles:
            handle.remove()


def called(model: nn.Module, example: Example) -> set[str]:
    """The names of the modules that run."""
    ran: set[str] = set()
    _run(model, example, lambda name, output: ran.add(name))
    return ran


def stages(model: nn.Module, example: Example) -> list[str]:
    """For each size of map, the last of the outermost modules that give it: where attention goes.

    The names go as deep as it takes to see three sizes, at most three steps.
    """
    shapes: dict[str, list[tuple[int, ...]]] = {}

    def note(name: str, output: Any) -> None:
        if name:
            shapes.setdefault(name, []).append(tuple(output.shape) if isinstance(output, Tensor) else ())

    _run(model, example, note)
    last: dict[tuple[int, ...], str] = {}
    for depth in (1, 2, 3):
        last = {
            shape[0][2:]: name
            for name, shape in shapes.items()
            if name.count(".") < depth and len(shape) == 1 and len(shape[0]) == 4 and min(shape[0][2:]) > 1
        }
        if len(last) >= 3:
            break
    return list(dict.fromkeys(last.values()))
