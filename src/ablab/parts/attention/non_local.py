"""The non-local block."""

from __future__ import annotations

from timm.layers.non_local_attn import NonLocalAttn

from ablab.registry import register


@register("attention", "nl", paper="https://arxiv.org/abs/1711.07971")
class NonLocal(NonLocalAttn):
    """x + BN(z(softmax(t(x)' p(x) / sqrt(C)) g(x))); t, p, g, z are 1x1 convolutions.  (B, C, H, W) -> (B, C, H, W)

    Wang et al. 2018, equations 4 (embedded Gaussian) and 6. `reduction`: how many times narrower t, p and g are, 2 as
    in section 3.3. The norm's weight starts at 0, so that the block starts as the identity (section 4.1). Memory grows
    with the square of H * W.

    The module is timm's, which divides by sqrt(C), as the paper does not. The biases of p, g and z are taken out: the
    softmax cancels the first, the norm the other two, so that they would never learn.
    """

    def __init__(self, channels: int, reduction: int = 2) -> None:
        super().__init__(channels, rd_channels=max(channels // reduction, 1))  # type: ignore[no-untyped-call]
        for conv in (self.p, self.g, self.z):
            conv.register_parameter("bias", None)
