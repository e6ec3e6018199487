"""Fewer modules, the same function: parts that train as several branches become one, norms go into convolutions.

fuse(model, example) -> a copy; of the model's own outputs on the example it differs by rounding
"""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode

from ablab.errors import RunError
from ablab.measure.forward import Example, forward, tensors

TOLERANCE = 1e-3  # of an output's largest number: far above rounding in float32, far below another function


def fuse(model: nn.Module, example: Example) -> nn.Module:
    """A copy in evaluation mode: re-parameterised, and each batch norm folded into the convolution before it.

    Which norm follows which convolution is read off one forward pass on `example`, so that it holds for any network.
    Raises RunError where the copy computes something else, naming by how much.
    """
    fused = copy.deepcopy(model).eval()
    with torch.no_grad():
        before = [each.clone() for each in tensors(forward(fused, example))]
        plain_weights(fused)
        reparameterize(fused)
        fold_norms(fused, example)
        after = list(tensors(forward(fused, example)))
    for old, new in zip(before, after, strict=True):
        worst, largest = float((old - new).abs().max()), float(old.abs().max())
        if not worst <= TOLERANCE * max(largest, 1.0):
            raise RunError(
                f"fusing {type(model).__name__} changed its outputs by {worst:.3g}, where they reach {largest:.3g}; a "
                f"part's fuse() may not compute what the part does"
            )
    return fused


def plain_weights(model: nn.Module) -> int:
    """Make parametrised tensors (weight norm) plain ones, in place; returns the number of modules that had any.

    Not by torch's `remove_parametrizations`: it takes properties off a class that a copy shares with its original.
    """
    found = [module for module in model.modules() if parametrize.is_parametrized(module)]
    for module in found:
        assert isinstance(module.parametrizations, nn.ModuleDict)
        values = {name: getattr(module, name).detach().clone() for name in module.parametrizations}
        del module.parametrizations
        module.__class__ = type(module).__mro__[1]  # torch had put a class of its own before it
        for name, value in values.items():
            module.register_parameter(name, nn.Parameter(value))
    return len(found)


def reparameterize(model: nn.Module) -> int:
    """Put what `fuse()` gives in the place of each module that has it, in place; returns their number.

    `fuse()` without arguments, giving a module, is the convention of ablab's parts and of timm; a `fuse` that wants
    arguments is something else.
    """
    found = {id(m): m for _, m in model.named_modules() if _foldable(m)}
    simple = {key: module.fuse() for key, module in found.items()}
    simple = {key: module for key, module in simple.items() if isinstance(module, nn.Module)}
    _exchange(model, simple)
    return len(simple)


def _foldable(module: Any) -> bool:
    folding = getattr(module, "fuse", None)
    if not inspect.ismethod(folding):
        return False
    asked = inspect.signature(folding).parameters.values()
    return all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in asked)


def fold_norms(model: nn.Module, example: Example) -> int:
    """Fold each BatchNorm2d into the Conv2d whose output it alone takes, in place; returns their number.

    Left as they are: one of the two is called more than once, or their output is also used by something else.
    """
    pairs = list(_pairs(model, example))
    _exchange(model, {id(conv): fuse_conv_bn_eval(conv, norm) for conv, norm in pairs})
    _exchange(model, {id(norm): nn.Identity() for _, norm in pairs})
    return len(pairs)


def _exchange(model: nn.Module, new: Mapping[int, nn.Module]) -> None:
    """Modules by identity, wherever and under however many names they are registered."""
    for owner in list(model.modules()):
        for name, child in list(owner._modules.items()):
            if id(child) in new:
                owner._modules[name] = new[id(child)]


def _pairs(model: nn.Module, example: Example) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions and norms, each called once, the norm being all that takes the convolution's output."""
    calls: Counter[int] = Counter()
    made: dict[int, nn.Conv2d] = {}  # by identity of the output
    taken: dict[int, tuple[Tensor, nn.BatchNorm2d]] = {}

    def leave(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        calls[id(module)] += 1
        if isinstance(module, nn.Conv2d):
            made[id(output)] = module
            uses.follow(output)
        elif args:  # a norm
            taken[id(args[0])] = (args[0], module)  # type: ignore[assignment]

    watched = [m for m in model.modules() if _is_plain(m, nn.Conv2d) or _is_norm(m)]
    hooks = [module.register_forward_hook(leave) for module in watched]
    try:
        with _Uses() as uses:
            out = {id(each) for each in tensors(forward(model, example))}
    finally:
        for hook in hooks:
            hook.remove()
    for key, conv in made.items():
        _, norm = taken.get(key, (None, None))
        if norm and calls[id(conv)] == calls[id(norm)] == uses.count[key] == 1 and key not in out:
            yield conv, norm


def _is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether a module computes what the kind does: a subclass may, with a forward of its own it may not."""
    return isinstance(module, kind) and type(module).forward is kind.forward


def _is_norm(module: nn.Module) -> bool:
    running = getattr(module, "running_mean", None) is not None  # without, it uses the batch's own statistics
    return running and isinstance(module, nn.BatchNorm2d) and type(module).forward is nn.BatchNorm2d.forward


class _Uses(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """How many operations take each of the tensors that are followed, by identity."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: Counter[int] = Counter()
        self.kept: list[Any] = []  # living on, so that no identity comes twice

    def follow(self, tensor: Any) -> None:
        """Count from now on: what had this identity before is gone."""
        self.kept.append(tensor)
        self.count[id(tensor)] = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.count.update(id(each) for each in tensors((args, dict(kwargs or {}))))
        return func(*args, **dict(kwargs or {}))
