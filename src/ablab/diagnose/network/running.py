"""Which modules are under way while a network runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import nn


@contextmanager
def running(model: nn.Module) -> Iterator[list[str]]:
    """A list that holds the names of the modules under way while the model runs inside, the innermost last."""
    stack: list[str] = []
    with ExitStack() as hooks:
        for name, module in model.named_modules():
            hooks.callback(module.register_forward_pre_hook(lambda m, args, name=name: stack.append(name)).remove)
            hooks.callback(module.register_forward_hook(lambda m, args, out: _pop(stack)).remove)
        yield stack


def _pop(stack: list[str]) -> None:
    stack.pop()
