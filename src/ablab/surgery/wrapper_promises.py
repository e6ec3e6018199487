"""What wrappers promise: they call the module that they are given, and keep the shape of what it gives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ablab.errors import ContractError
from ablab.surgery.specimen import CHANNELS, Specimen, draw, inner


def inner_is_called(part: Specimen) -> None:
    """Once a forward, in training and in evaluation, and on the input as it came."""
    name = next((name for name, fact in part.entry.host.items() if fact == "inner"), None)
    if name is None:
        raise ContractError("it takes no module: give its constructor an argument `inner`")
    module, seen = inner(CHANNELS), []
    module.register_forward_hook(lambda _, args, output: seen.append(args[0].detach().clone()))
    wrapped = part.build(**{name: module})
    x = draw(2, CHANNELS, 7, 5)
    for training in (True, False):
        seen.clear()
        wrapped.train(training)(x.clone())
        if len(seen) != 1 or not torch.equal(seen[0], x):
            mode = "training" if training else "evaluation"
            raise ContractError(
                f"in {mode} it called the module that it wraps {len(seen)} times"
                + ("" if len(seen) != 1 else " with another input")
                + "; call self.inner(x) once"
            )


def inner_keeps_its_arguments(part: Specimen) -> None:
    """What else the module was called with goes on to it."""
    name = next(name for name, fact in part.entry.host.items() if fact == "inner")
    wrapped = part.build(**{name: _Shifted(CHANNELS)}).eval()
    x = draw(2, CHANNELS, 7, 5)
    try:
        plain, by_place, by_name = wrapped(x.clone()), wrapped(x.clone(), 1.0), wrapped(x.clone(), shift=1.0)
    except TypeError as error:
        raise ContractError(
            f"a module may take more than one argument ({error}); write forward(self, x, *args, **kwargs)"
        ) from None
    if torch.equal(plain, by_place) or not torch.equal(by_place, by_name):
        raise ContractError("further arguments do not reach the module that it wraps; pass *args and **kwargs on")


class _Shifted(nn.Conv2d):
    """A convolution that takes a second argument."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, shift: Any = 0.0) -> Tensor:
        return super().forward(x) + shift
