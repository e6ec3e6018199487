"""Efficient channel attention."""

from __future__ import annotations

from timm.layers.eca import EcaModule

from ablab.parts.attention.kernel import odd
from ablab.registry import register


@register("attention", "eca", paper="https://arxiv.org/abs/1910.03151")
class ECA(EcaModule):
    """Each channel times a gate that a 1-d convolution reads off the channel means.  (B, C, H, W) -> (B, C, H, W)

    `kernel_size`: odd; None takes the paper's size for so many channels (Wang et al. 2020, equation 12). The module
    is timm's, which would forget the kernel size once it is told the channels (trap 6), so it is told one of the two.
    """

    def __init__(self, channels: int, kernel_size: int | None = None) -> None:
        if kernel_size is None:
            super().__init__(channels)
        else:
            super().__init__(None, odd(kernel_size))
