"""The slot `activation`: any shape kept.  (*) -> (*)

Torch's own classes are registered as they are, so that `of: silu` finds every `nn.SiLU` of any network.
"""

from __future__ import annotations

from torch import nn

from ablab.parts.activation.frelu import FReLU
from ablab.registry import register

__all__ = ["FReLU"]

register("activation", "relu", paper="https://proceedings.mlr.press/v15/glorot11a.html")(nn.ReLU)
register("activation", "silu", paper="https://arxiv.org/abs/1702.03118")(nn.SiLU)
register("activation", "hardswish", paper="https://arxiv.org/abs/1905.02244")(nn.Hardswish)
register("activation", "mish", paper="https://arxiv.org/abs/1908.08681")(nn.Mish)
register("activation", "gelu", paper="https://arxiv.org/abs/1606.08415", alternatives={"approximate": ["tanh"]})(
    nn.GELU
)
# Saturates, and its output is never negative: what a study takes as the change that surely hurts.
register("activation", "sigmoid", paper="https://doi.org/10.1038/323533a0")(nn.Sigmoid)
