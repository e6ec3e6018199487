"""Floating-point operations, as two for each multiply-add."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ablab.measure.forward import Example, forward, still


def flops(model: nn.Module, example: Example) -> int:
    """FLOPs of one forward pass of the whole `example`, in evaluation mode: convolutions and matrix products.

    Follows torch's counter: 2 x multiply-adds; element-wise work, norms and pools are not counted.
    """
    with still(model), torch.no_grad(), counted() as count:
        forward(model, example)
    return count()


@contextmanager
def counted() -> Iterator[Callable[[], int]]:
    """Count what runs inside; the value is called afterwards for the FLOPs."""
    counter = _Counter()
    with _countable_attention(), counter:
        yield lambda: counter.total


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Torch's FlopCounterMode without its book-keeping by module, which takes longer than a small network runs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        count = flop_registry.get(func._overloadpacket)
        if count is None and func._can_decompose():
            with self:
                return func.decompose(*args, **named)
        output = func(*args, **named)
        if count is not None:
            self.total += count(*args, **named, out_val=output)
        return output


@contextmanager
def _countable_attention() -> Iterator[None]:
    """The counter does not know torch's fused attention on the CPU; plain products give the same numbers."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
