"""The asymmetric block of ACNet."""

from __future__ import annotations

from ablab.parts.conv.branches import Branches, carry
from ablab.parts.conv.site import Padding, Size, site
from ablab.registry import register


@register("conv", "acnet", paper="https://arxiv.org/abs/1908.03930", carry=carry)
class AsymmetricBlock(Branches):
    """BN(k x k) + BN(k x 1) + BN(1 x k): a cross that strengthens the kernel's middle.  (B, in, H, W) -> as nn.Conv2d

    Ding et al. 2019, section 3.3. `fuse()` makes it one k x k convolution, so that it costs about 5 / 3 of one
    (k = 3) in training and nothing more after. It brings its own batch norms; one that follows it normalises again.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        groups: int = 1,
    ) -> None:
        place = site(in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        place.assert_centred("acnet")
        high, wide = place.kernel_size
        super().__init__(
            place, {"square": (high, wide), "vertical": (high, 1), "horizontal": (1, wide)}, shortcut=False
        )
