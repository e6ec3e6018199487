"""The block of RepVGG."""

from __future__ import annotations

from ablab.parts.conv.branches import Branches, carry
from ablab.parts.conv.site import Padding, Size, site
from ablab.registry import register


@register("conv", "repvgg", paper="https://arxiv.org/abs/2101.03697", carry=carry)
class RepVGG(Branches):
    """BN(k x k) + BN(1 x 1) + BN(x), the last where the shape is kept.  (B, in, H, W) -> as nn.Conv2d

    Ding et al. 2021, sections 3.2 and 3.3. `fuse()` makes it one k x k convolution. It brings its own batch norms;
    one that follows it normalises again. The paper's ReLU after the sum is left to the network.
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
        place.assert_centred("repvgg")
        super().__init__(place, {"full": place.kernel_size, "point": (1, 1)}, shortcut=place.keeps_shape)
