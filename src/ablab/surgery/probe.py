"""Run a network once and note who called whom, with what."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils.hooks import RemovableHandle

from ablab.errors import SurgeryError
from ablab.measure.forward import Example, forward, still
from ablab.measure.seeding import forked
from ablab.surgery.audit import Audit, FunctionalCall
from ablab.surgery.layout import channels_last
from ablab.surgery.structure import Shape, first_shape, with_tensors


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a module.

    `owner` is the module in whose forward it happened and `turn` the number of that forward. `args`, `kwargs` and
    `output` are kept only of watched modules. Channels are on axis 1, or on the last one as linear layers and layer
    norms leave them.
    """

    owner: nn.Module | None
    turn: int
    input_shape: Shape
    output_shape: Shape
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    output: Any = None
    input_channels_last: bool = False
    output_channels_last: bool = False


@dataclass(frozen=True)
class Probe:
    """All calls by `id(module)`, functional activations, and what the network gave."""

    calls: Mapping[int, list[Call]]
    functional: tuple[FunctionalCall, ...]
    output: Any


@dataclass
class _Frame:
    module: nn.Module
    turn: int
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    shape: Shape
    channels_last: bool


class _Recorder:
    """Hooks that keep the stack of running modules and write down each call."""

    def __init__(self, watch: Collection[nn.Module]) -> None:
        self.watched = {id(module) for module in watch}
        self.stack: list[_Frame] = []
        self.calls: dict[int, list[Call]] = {}
        self.turns = 0

    def running(self) -> list[nn.Module]:
        return [frame.module for frame in self.stack]

    def hooks(self, model: nn.Module) -> Iterator[RemovableHandle]:
        """On every module; scripted ones take none of their own, so they are met by hooks on whatever is called."""
        modules = list(model.modules())
        for module in modules:
            if not isinstance(module, ScriptModule):
                yield module.register_forward_pre_hook(self.enter, with_kwargs=True)
                yield module.register_forward_hook(self.leave, with_kwargs=True)
        scripted = {id(module) for module in modules if isinstance(module, ScriptModule)}
        if scripted:
            yield register_module_forward_pre_hook(
                lambda m, args: self.enter(m, args, {}) if id(m) in scripted else None
            )
            yield register_module_forward_hook(
                lambda m, args, output: self.leave(m, args, {}, output) if id(m) in scripted else None
            )

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.turns += 1
        last = channels_last((args, kwargs))
        shape = first_shape((args, kwargs))
        if id(module) in self.watched:  # a copy, because what follows may write in place
            args, kwargs = with_tensors((args, kwargs), Tensor.clone)
        else:
            args, kwargs = (), {}
        self.stack.append(_Frame(module, self.turns, args, kwargs, shape, last))

    def leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        frame = self.stack.pop()
        while frame.module is not module:  # a module that failed, and whose caller took it in its stride
            frame = self.stack.pop()
        owner = self.stack[-1] if self.stack else None
        call = Call(
            owner=owner.module if owner else None,
            turn=owner.turn if owner else 0,
            input_shape=frame.shape,
            output_shape=first_shape(output),
            args=frame.args,
            kwargs=frame.kwargs,
            output=with_tensors(output, Tensor.clone) if id(module) in self.watched else None,
            input_channels_last=frame.channels_last,
            output_channels_last=channels_last(output),
        )
        self.calls.setdefault(id(module), []).append(call)


def probe(model: nn.Module, example: Example, watch: Collection[nn.Module] = ()) -> Probe:
    """Run the model once in evaluation mode, leaving no trace; keep the tensors of watched modules.

    Raises SurgeryError where the network does not take the example.
    """
    recorder = _Recorder(watch)
    audit = Audit(recorder.running, {id(module): name for name, module in model.named_modules()})
    with ExitStack() as stack:
        for handle in recorder.hooks(model):
            stack.callback(handle.remove)
        stack.enter_context(still(model))
        stack.enter_context(torch.no_grad())
        stack.enter_context(forked("probe"))
        try:
            with audit:
                output = forward(model, example)
        except SurgeryError:
            raise
        except Exception as error:
            name = audit.names.get(id(recorder.stack[-1].module), "") if recorder.stack else ""
            raise SurgeryError(
                f"the network fails on the example in {name or 'its own forward'}: {type(error).__name__}: {error}"
            ) from error
    return Probe(recorder.calls, tuple(audit.calls), output)
