"""Xavier (Glorot) initialisation: between what activations and what gradients want."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from ablab.parts.initialisation.redraw import one_of, redraw
from ablab.registry import register


@register(
    "initialisation",
    "xavier",
    paper="https://proceedings.mlr.press/v9/glorot10a.html",
    alternatives={"spread": ["normal"]},
)
@dataclass(frozen=True)
class Xavier:
    """Zero mean and standard deviation gain sqrt(2 / (fan in + fan out)).

    Glorot and Bengio 2010, equation 16, where it is uniform. Derived for units that are linear around 0 (tanh); behind
    ReLU the variance halves in each layer, which a gain of sqrt(2) makes good (Kaiming).
    """

    spread: Literal["normal", "uniform"] = "uniform"
    gain: float = 1.0

    def __post_init__(self) -> None:
        one_of("spread", self.spread, ("normal", "uniform"))

    def __call__(self, weight: Tensor) -> None:
        """(out, in, ...) -> None"""
        draw = nn.init.xavier_normal_ if self.spread == "normal" else nn.init.xavier_uniform_
        redraw(weight, lambda drawn: draw(drawn, self.gain))
