"""The global context block."""

from __future__ import annotations

from timm.layers.global_context import GlobalContext

from ablab.parts.attention.fuse import Fuse, way
from ablab.registry import register


@register("attention", "gc", paper="https://arxiv.org/abs/1904.11492", alternatives={"fuse": ["multiply"]})
class GC(GlobalContext):
    """One context for all places, f = conv(relu(LN(conv(mean of x by softmax over places)))), then
    add: x + f, or multiply: x * sigmoid(f).  (B, C, H, W) -> (B, C, H, W)

    Cao et al. 2019, section 3.3: they add, and find it better than to multiply. `reduction`: how many times narrower
    the middle is. Here `add` has no gate, other than in `fuse.py`.

    The module is timm's, which multiplies by default. The bias of the softmax's convolution is taken out: the softmax
    cancels it, so that it would never learn.
    """

    def __init__(self, channels: int, reduction: int = 16, fuse: Fuse = "add") -> None:
        add = way(fuse) == "add"
        super().__init__(channels, fuse_add=add, fuse_scale=not add, rd_channels=max(channels // reduction, 1))
        assert self.conv_attn is not None
        self.conv_attn.register_parameter("bias", None)
