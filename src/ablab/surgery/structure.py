"""What a network takes and gives, as nested shapes, and what a module holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

from torch import Tensor, nn

from ablab.measure.forward import tensors

Shape = tuple[int, ...]


def with_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same nesting with every tensor changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {name: with_tensors(part, change) for name, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # a named tuple
        return type(value)(*(with_tensors(part, change) for part in value))
    if isinstance(value, list | tuple):
        return type(value)(with_tensors(part, change) for part in value)
    return value


def first_shape(value: Any) -> Shape:
    """The shape of the first tensor inside; () where there is none."""
    return next((tuple(tensor.shape) for tensor in tensors(value)), ())


def outline(value: Any, skip: int = 0) -> str:
    """Nested shapes as text: `[(2, 64, 8, 8), (2, 128, 4, 4)]`.

    `skip` leaves out that many leading axes: the first one counts samples, or what a detector found.
    """
    if isinstance(value, Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        return f"({', '.join(['*'] * min(skip, value.dim()) + [str(n) for n in value.shape[skip:]])}) {dtype}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {outline(part, skip)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(outline(part, skip) for part in value) + "]"
    return type(value).__name__


def has_state(module: nn.Module) -> bool:
    """Whether a module holds parameters or buffers."""
    return next(chain(module.parameters(), module.buffers()), None) is not None
