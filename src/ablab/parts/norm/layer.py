"""Layer norm of maps."""

from __future__ import annotations

from timm.layers.norm import LayerNorm2d

from ablab.parts.norm.carry import carry_affine
from ablab.registry import register


@register("norm", "ln", paper="https://arxiv.org/abs/1607.06450", kind=LayerNorm2d, carry=carry_affine)
def layer_norm(channels: int, eps: float = 1e-6, affine: bool = True) -> LayerNorm2d:
    """Normalises the channels at each place, as ConvNeXt does.  (B, C, H, W) -> (B, C, H, W)

    Ba et al. 2016, equation 3, at every place; timm's class. The other thing called layer norm, over (C, H, W) of a
    sample, is `gn` with `groups: 1`. It erases how strong a place is against others. Layers on the last axis (ViT,
    Swin) are found by their class: `of: LayerNorm`.
    """
    return LayerNorm2d(channels, eps, affine)
