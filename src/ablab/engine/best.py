"""The best epoch so far, by a metric on validation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ablab.errors import UnknownName


def quality(scores: Mapping[str, float], metric: str, direction: str, where: str) -> float:
    """A metric as a number of which more is better; NaN is worse than any number. Raises UnknownName."""
    if metric not in scores:
        raise UnknownName("metric", metric, scores, where)
    found = scores[metric]
    return float("-inf") if math.isnan(found) else found if direction == "max" else -found


class Best:
    """Keeps the weights of the best epoch, the earlier of equals."""

    def __init__(self) -> None:
        self.epoch, self.value = 0, float("-inf")
        self.weights: dict[str, Tensor] = {}

    def offer(self, epoch: int, value: float, model: nn.Module) -> None:
        """Keep this epoch's weights where it is better."""
        if value > self.value or not self.epoch:
            self.epoch, self.value = epoch, value
            self.weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """All but the weights, as JSON."""
        return {"epoch": self.epoch, "value": self.value}

    def restore(self, state: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Stand where `state` was taken."""
        self.epoch, self.value, self.weights = state["epoch"], state["value"], dict(weights)
