"""Floating-point operations, as two for each multiply-add."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

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
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _Whole()  # type: ignore[assignment]
    with _countable_attention(), counter:
        yield lambda: int(counter.get_total_flops())


class _Whole(nullcontext[None]):
    """Counts the network as one. The counter's own tracker, a number a module, fails on a module that is given a view
    of a parameter, as timm's PiT does with its class token."""

    parents = frozenset({"Global"})


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
