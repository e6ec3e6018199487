"""Instance norm."""

from __future__ import annotations

from torch import nn

from ablab.parts.norm.carry import carry_affine
from ablab.registry import register


@register(
    "norm", "in", paper="https://arxiv.org/abs/1607.08022", kind=nn.InstanceNorm2d, needs_area=True, carry=carry_affine
)
def instance_norm(channels: int, eps: float = 1e-5, affine: bool = True) -> nn.InstanceNorm2d:
    """Normalises each channel of a sample over its places.  (B, C, H, W) -> (B, C, H, W)

    Ulyanov et al. 2016; torch's class, but with weight and bias, which torch leaves out by default. It
    erases how strong a channel is in the whole image, which is style to one task and evidence to another. A 1x1 map
    would become its bias, so torch refuses it: leave such a site out, or take `gn` or `ln` there.
    """
    return nn.InstanceNorm2d(channels, eps, affine=affine)
