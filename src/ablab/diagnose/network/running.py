"""Which modules are under way while a network runs, and what they give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

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


@contextmanager
def watched(modules: Mapping[str, nn.Module], note: Callable[[str, Any], Any]) -> Iterator[None]:
    """Call `note` with the name and the output of each of the modules whenever it runs inside.

    What `note` returns goes on in the output's place; None leaves it as it is.
    """
    with ExitStack() as hooks:
        for name, module in modules.items():
            hooks.callback(module.register_forward_hook(lambda m, args, out, name=name: note(name, out)).remove)
        yield
