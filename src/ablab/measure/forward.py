"""One forward pass that leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Example = Tensor | tuple[Any, ...] | Mapping[str, Any]  # one argument, several, or named ones


def forward(model: nn.Module, example: Example) -> Any:
    """Call the model on an example: a tensor, a tuple of arguments, or named arguments."""
    if isinstance(example, Mapping):
        return model(**example)
    return model(*example) if isinstance(example, tuple) else model(example)


def tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor inside nested lists, tuples and mappings, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from tensors(part)


@contextmanager
def still(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; afterwards every module's mode and every buffer stand as they stood."""
    modules = list(model.modules())
    modes = [module.training for module in modules]
    buffers = [(m._buffers, n, b, b.clone()) for m in modules for n, b in m._buffers.items() if b is not None]
    model.eval()
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        with torch.no_grad():
            for owner, name, buffer, before in buffers:
                owner[name] = buffer.copy_(before)
