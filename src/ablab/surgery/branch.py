"""Where the branch of a residual block ends: the last module before the addition to the shortcut.

x --+-- conv -- norm -- act -- conv -- norm --+--> + --> act         the last norm
    +----------------- shortcut --------------+
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ablab.errors import SurgeryError
from ablab.measure.forward import Example, forward, still, tensors
from ablab.measure.seeding import forked
from ablab.recipe import Edit
from ablab.surgery.select import named

_SUMS = {torch.add, Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__radd__, Tensor.__iadd__}


@dataclass(frozen=True)
class _Past:
    """How a tensor came about in a block's forward: the modules called on its way (by number of the call), the last of
    them, and whether a function came after it."""

    calls: frozenset[int] = frozenset()
    last: int | None = None
    changed: bool = False


@dataclass
class _Frame:
    """One forward under way: what is known of its tensors, which are held so that no id is used twice."""

    module: nn.Module
    pasts: dict[int, tuple[Tensor, _Past]] = field(default_factory=dict)
    modules: list[nn.Module] = field(default_factory=list)
    sums: list[tuple[_Past, _Past]] = field(default_factory=list)

    def note(self, values: Any, past: _Past) -> None:
        for tensor in tensors(values):
            self.pasts[id(tensor)] = (tensor, past)

    def past(self, values: Any) -> _Past | None:
        """Of everything inside, joined; None for what does not come from the block's input."""
        found = [self.pasts[id(tensor)][1] for tensor in tensors(values) if id(tensor) in self.pasts]
        if not found:
            return None
        longest = max(found, key=lambda past: len(past.calls))
        return _Past(frozenset().union(*(past.calls for past in found)), longest.last, longest.changed)


class _Tracer(TorchFunctionMode):
    """Follows every block's tensors from its input through its modules to its additions."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks = {id(block) for block in blocks}
        self.stack: list[_Frame] = []
        self.done: dict[int, _Frame] = {}

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        frame = _Frame(module)
        frame.note((args, kwargs), _Past())
        self.stack.append(frame)

    def leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        frame = self.stack.pop()
        if id(module) in self.blocks:
            self.done[id(module)] = frame
        if self.stack:
            caller = self.stack[-1]
            before = caller.past((args, kwargs)) or _Past()
            number = len(caller.modules)
            caller.modules.append(module)
            caller.note(output, _Past(before.calls | {number}, number))

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        frame = self.stack[-1] if self.stack else None
        past = frame.past((args, dict(kwargs or {}))) if frame else None
        if frame and func in _SUMS:
            pair = [frame.past(value) for value in (*args, *(kwargs or {}).values())][:2]
            frame.sums += [(one, other) for one, other in [pair] if one and other] if len(pair) == 2 else []
        output = func(*args, **(kwargs or {}))
        if frame and past:
            frame.note(output, _Past(past.calls, past.last, True))
        return output


def branch_ends(model: nn.Module, edit: Edit, blocks: Sequence[str], example: Example) -> list[str]:
    """The names of the modules that the branches of the named blocks end in.

    Raises SurgeryError for a block without one addition of a branch and a shortcut, or with several, and where the
    branch ends in something that no module swap reaches.
    """
    modules = named(model)
    tracer = _Tracer([modules[name] for name in blocks])
    with ExitStack() as stack:
        for module in model.modules():
            if not isinstance(module, torch.jit.ScriptModule):
                stack.callback(module.register_forward_pre_hook(tracer.enter, with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(tracer.leave, with_kwargs=True).remove)
        for context in (still(model), torch.no_grad(), forked("probe"), tracer):
            stack.enter_context(context)
        forward(model, example)
    frames = {block: tracer.done.get(id(modules[block])) for block in blocks}
    without = [block for block, frame in frames.items() if frame is None or not _branches(frame)]
    if without:
        listed = ", ".join(without[:12]) + (", ..." if len(without) > 12 else "")
        raise SurgeryError(
            f"{edit}: {len(without)} of {len(blocks)} modules add no branch to a shortcut in their own forward: "
            f"{listed}; name residual blocks, and leave these out with 'but'"
        )
    ends = [name for block, frame in frames.items() if frame for name in _end(edit, block, frame, modules)]
    return list(dict.fromkeys(ends))


def _end(edit: Edit, block: str, frame: _Frame, modules: Mapping[str, nn.Module]) -> list[str]:
    """The names, inside the block, of the module that its branch ends in."""
    what = f"{edit}: the branch of {block} ({type(frame.module).__name__})"
    past, *more = _branches(frame)
    last = frame.modules[past.last or 0]
    if more:
        ends = ", ".join(f"{block}.{_child(frame, each)}" for each in (past, *more))
        raise SurgeryError(f"{what} is one of {1 + len(more)}, which end in {ends}; write 'after' and the one you mean")
    names = [name for name, module in modules.items() if module is last and name.startswith(f"{block}.")]
    if not names:
        raise SurgeryError(f"{what} ends in a {type(last).__name__} that it does not own; write 'after' and its name")
    if past.changed:
        raise SurgeryError(
            f"{what} goes on after {names[0]} with functions, where no part can stand; write 'after: {names[0]}' to go "
            f"before them"
        )
    if sum(module is last for module in frame.modules) > 1:
        raise SurgeryError(
            f"{what} ends in {names[0]}, which the block also calls elsewhere; give its end a module of its own"
        )
    return names


def _branches(frame: _Frame) -> list[_Past]:
    return [past for pair in frame.sums if (past := _branch(*pair))]


def _branch(one: _Past, other: _Past) -> _Past | None:
    """The branch among two that are added; None where neither is one, or none is a shortcut.

    A shortcut is what both come from, or one module on it; the branch has more modules of its own.
    """
    branch, shortcut = sorted((one, other), key=lambda past: len(past.calls), reverse=True)
    own, others = branch.calls - shortcut.calls, shortcut.calls - branch.calls
    return branch if len(others) <= 1 and len(own) > len(others) else None


def _child(frame: _Frame, past: _Past) -> str:
    last = frame.modules[past.last or 0]
    return next((name for name, module in frame.module.named_modules() if module is last), type(last).__name__)
