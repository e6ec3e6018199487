"""The slot `dropout`: noise in training, nothing in evaluation.  (B, C, H, W) -> (B, C, H, W)

All of them keep the mean, and raise the mean square: in training a batch norm behind one learns a variance that
evaluation does not show it (Li et al. 2019). `plan` says so where it happens.
"""

from __future__ import annotations

from torch import nn
from torchvision.ops import StochasticDepth

from ablab.parts.dropout.dropblock import DropBlock
from ablab.parts.dropout.gaussian import GaussianDropout
from ablab.parts.dropout.uniform import UniformDropout
from ablab.registry import register

__all__ = ["DropBlock", "GaussianDropout", "UniformDropout", "stochastic_depth"]

register(
    "dropout",
    "dropout",
    paper="https://jmlr.org/papers/v15/srivastava14a.html",
    note="Each number is 0 with probability p, else x / (1 - p). In a map the neighbours still tell what was dropped: "
    "it regularises convolutions little.",
)(nn.Dropout)
register(
    "dropout",
    "dropout2d",
    paper="https://arxiv.org/abs/1411.4280",
    maps=True,
    note="Each channel of a sample is 0 with probability p, else x / (1 - p).",
)(nn.Dropout2d)


@register("dropout", "stochastic-depth", paper="https://arxiv.org/abs/1603.09382", kind=StochasticDepth)
def stochastic_depth(p: float = 0.1) -> StochasticDepth:
    """Each sample's map is 0 with probability p, else x / (1 - p).  (B, C, H, W) -> (B, C, H, W)

    Huang et al. 2016, section 3; torchvision's class. It belongs at the end of a residual branch, which it drops; in
    the trunk it would take away the whole sample.
    """
    return StochasticDepth(p, "row")
