"""Blocks that are skipped at random in training."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from ablab.registry import register


@register("wrapper", "stochastic-skip", paper="https://arxiv.org/abs/1603.09382")
class StochasticSkip(nn.Module):
    """Stochastic depth of a whole block: in training each sample skips it with probability p.  (*) -> (*)

    x + drop(f(x) - x), where drop is times 0 or times 1 / (1 - p): the mean is f(x), and so is evaluation mode.
    For a residual block f(x) - x is the branch, so this is Huang et al. 2016, equation 2, with the scale in training
    instead of evaluation; where a ReLU follows the sum, it is so up to that ReLU. Around a module that is no residual
    block, x takes the place of f(x), so that the module must keep the shape. For one branch alone there is the part
    dropout/stochastic-depth. The drawing is torchvision's.
    """

    def __init__(self, inner: nn.Module, p: float = 0.1) -> None:
        super().__init__()
        self.inner = inner
        self.drop = StochasticDepth(p, "row")

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if not self.training:
            return self.inner(x, *args, **kwargs)
        return x + self.drop(self.inner(x.clone(), *args, **kwargs) - x)  # a copy, as it may write in place
