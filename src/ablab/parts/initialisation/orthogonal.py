"""Orthogonal initialisation: keeps lengths."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ablab.parts.initialisation.redraw import redraw
from ablab.registry import register


@register("initialisation", "orthogonal", paper="https://arxiv.org/abs/1312.6120")
@dataclass(frozen=True)
class Orthogonal:
    """W W^T = gain^2 I, W the weight as a matrix (out, in * kernel), drawn evenly over all such.

    Saxe et al. 2014, section 3; W^T W = gain^2 I where W is taller than wide. All singular values are the gain, so
    depth neither stretches nor shrinks a linear network. For a convolution that holds of the matrix on one window, not
    of the layer: windows overlap, and a map's length does change.
    """

    gain: float = 1.0

    def __call__(self, weight: Tensor) -> None:
        """(out, in, ...) -> None"""
        redraw(weight, lambda drawn: nn.init.orthogonal_(drawn, self.gain))
