"""Exponential moving average of a network (Polyak and Juditsky 1992), with a decay that grows from zero."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn


class EMA:
    """A shadow of `model`: shadow = d * shadow + (1 - d) * weights, with d = decay * (1 - exp(-step / tau)).

    Float buffers (running means and variances) are averaged too; integer ones are copied. `model` holds the shadow.
    """

    def __init__(self, model: nn.Module, decay: float, tau: float) -> None:
        self.decay, self.tau, self.step = decay, tau, 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._weights = [p.detach() for p in self.model.parameters()], [p.detach() for p in model.parameters()]
        buffers = dict(model.named_buffers())
        # An attention mask of -inf is a buffer too, and -inf - -inf is NaN.
        self._smooth = [n for n, b in buffers.items() if b.is_floating_point() and bool(b.isfinite().all())]
        self._exact = [n for n in buffers if n not in self._smooth]
        self._owners = {n: (_owner(self.model, n), _owner(model, n), n.rpartition(".")[2]) for n in buffers}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights as they are after an optimizer step."""
        self.step += 1
        weight = 1 - self.decay * (1 - math.exp(-self.step / self.tau))
        torch._foreach_lerp_(*self._weights, weight)  # what torch.optim.swa_utils uses
        pairs = [self._buffer(name) for name in self._smooth]
        if pairs:
            torch._foreach_lerp_([shadow for shadow, _ in pairs], [live for _, live in pairs], weight)
        for shadow, live in map(self._buffer, self._exact):
            shadow.copy_(live)

    def _buffer(self, name: str) -> tuple[Tensor, Tensor]:
        """Looked up anew, since a `forward` may put another tensor in a buffer's place."""
        shadow, live, attribute = self._owners[name]
        return shadow[attribute], live[attribute]


def _owner(model: nn.Module, name: str) -> dict[str, Any]:
    """The buffers of the module that holds this one."""
    return model.get_submodule(name.rpartition(".")[0])._buffers
