"""Efficient channel attention."""

from __future__ import annotations

from timm.layers.eca import EcaModule
from torch import Tensor

from ablab.parts.attention.fuse import Fuse, fused, way
from ablab.parts.attention.kernel import odd
from ablab.registry import register


@register("attention", "eca", paper="https://arxiv.org/abs/1910.03151", alternatives={"fuse": ["add"]})
class ECA(EcaModule):
    """Each channel times a gate that a 1-d convolution reads off the channel means.  (B, C, H, W) -> (B, C, H, W)

    `kernel_size`: odd; None takes the paper's size for so many channels, |log2(C) / 2 + 1 / 2| made odd (Wang et al.
    2020, equation 12), though never below 3; `fuse`: see `fuse.py`. The module is timm's, which would forget the kernel
    size once it is told the channels (trap 6), so it is told one of the two. The convolution takes neighbouring
    channels for related, but a network's channels stand in no order.
    """

    def __init__(self, channels: int, kernel_size: int | None = None, fuse: Fuse = "multiply") -> None:
        if kernel_size is None:
            super().__init__(channels)
        else:
            super().__init__(None, odd(kernel_size))
        self.way = way(fuse)

    def forward(self, x: Tensor) -> Tensor:
        return fused(x, super().forward(x), self.way)  # type: ignore[no-untyped-call]
