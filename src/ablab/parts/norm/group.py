"""Group norm."""

from __future__ import annotations

from torch import nn

from ablab.errors import ConfigError
from ablab.parts.norm.carry import carry_affine
from ablab.registry import register

MOST = 32  # groups, as in the paper


@register("norm", "gn", paper="https://arxiv.org/abs/1803.08494", kind=nn.GroupNorm, carry=carry_affine)
def group_norm(channels: int, groups: int | None = None, eps: float = 1e-5, affine: bool = True) -> nn.GroupNorm:
    """Normalises each group of channels of a sample over its places.  (B, C, H, W) -> (B, C, H, W)

    Wu & He 2018, equations 1 to 7; torch's class. Without `groups` there are as many as divide C, 32 at most, and leave
    two channels a group or more: with one it would be instance norm. One group is layer norm over (C, H, W). On a 1x1
    map a group of two becomes +-1: give such a site few groups. It does not see the batch, which is its point; at large
    batches batch norm is usually ahead, and is free once fused.
    """
    if groups is None:
        groups = max(g for g in range(1, MOST + 1) if channels % g == 0 and (g == 1 or 2 * g <= channels))
    if groups < 1 or channels % groups:
        raise ConfigError(f"gn: {groups} groups do not divide {channels} channels; leave groups out for what does")
    return nn.GroupNorm(groups, channels, eps, affine)
