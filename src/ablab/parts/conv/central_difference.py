"""Central-difference convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.parts.conv.carrying import put_bias, weights
from ablab.parts.conv.reparameterize import in_the_middle
from ablab.parts.conv.site import Padding, Size, site, site_of
from ablab.registry import register


def carry(old: nn.Module, new: CentralDifferenceConv) -> None:
    """Give exactly what a plain convolution gives; raises ConfigError at theta 1, where kernels must sum to 0."""
    weight, bias = weights(old, site_of(new))
    if new.theta == 1:
        raise ConfigError("at theta 1 every kernel sums to 0, which no plain convolution's need; take a theta below 1")
    put_bias(bias, new)
    total = weight.sum(dim=(2, 3), keepdim=True) / (1 - new.theta)  # what the new kernel sums to
    with torch.no_grad():
        new.weight.copy_(weight + in_the_middle(new.theta * total, weight.shape[2:]))


@register("conv", "central-difference", paper="https://arxiv.org/abs/2003.04092", carry=carry)
class CentralDifferenceConv(nn.Conv2d):
    """conv(x) - theta * sum(w) * x_centre: differences to the middle count too.  (B, in, H, W) -> as nn.Conv2d

    Yu et al. 2020, equation 4, with its theta of 0.7; theta 0 is nn.Conv2d. It is computed as one convolution whose
    kernel has theta times its sum taken off the centre, so it costs what nn.Conv2d costs, and `fuse()` is exact.
    Below theta 1 every plain convolution can be written so (the map of kernels has determinant 1 - theta): theta then
    changes how it learns, not what it can compute. At theta 1 the kernels sum to 0, and flat regions vanish.
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
        bias: bool = True,
        theta: float = 0.7,
    ) -> None:
        if not 0 <= theta <= 1:
            raise ConfigError(f"theta must lie in 0..1, got {theta}")
        here = site(in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        here.assert_centred("central-difference")
        super().__init__(
            in_channels, out_channels, here.kernel_size, here.stride, here.padding, here.dilation, groups, bias
        )
        self.theta = theta

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self._kernel(), self.bias)

    def fuse(self) -> nn.Conv2d:
        """The plain convolution that gives the same."""
        conv = site_of(self).conv(bias=self.bias is not None).to(self.weight).train(self.training)
        with torch.no_grad():
            conv.weight.copy_(self._kernel())
        put_bias(self.bias, conv)
        return conv

    def _kernel(self) -> Tensor:
        total = self.weight.sum(dim=(2, 3), keepdim=True)
        return self.weight - in_the_middle(self.theta * total, self.weight.shape[2:])
