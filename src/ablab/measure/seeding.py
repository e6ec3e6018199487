"""The one place that touches torch's global generators (trap 10)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ablab.streams import torch_seed


@contextmanager
def forked(*key: str | int) -> Iterator[None]:
    """Draws inside come from `key` alone; outside, the generators stand as they stood."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        reseed(*key)
        yield


def reseed(*key: str | int) -> None:
    """Set torch's generators from `key`, in a process that is ours alone (a run), or where they are forked.

    The same as `torch.manual_seed`, which spends 0.4 ms on a stack trace for cards that are not in use.
    """
    seed = torch_seed(*key)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)


def fresh() -> int:
    """A number from torch's current generator, as the beginning of a key."""
    return int(torch.randint(2**62, (), device="cpu"))


def redraw(model: nn.Module, *key: str | int) -> None:
    """Draw a network's weights anew, each module's from `key` and its own name.

    So a module that two networks have under one name and in one shape starts alike in both, whatever else they hold
    (trap 15). What draws has torch's `reset_parameters`; a module's own is called after those of its children.
    """
    with forked(*key):
        for name, module in reversed(list(model.named_modules())):
            if hasattr(module, "reset_parameters"):
                reseed(*key, name)
                module.reset_parameters()
