"""The slot `norm`: moves and scales a map to where training goes well.  (B, C, H, W) -> (B, C, H, W)

    name        mean and variance over    in evaluation
    bn          batch and places          of the running statistics
    frozen-bn   nothing                   the same: fixed numbers
    ln          channels, at each place   of the sample itself, as in training
    in          places, of each channel   of the sample itself
    gn          places and a group        of the sample itself; with `groups: 1` the layer norm of Wu & He's figure 2

`op: convert` lets each take over from a batch norm: `bn` and `frozen-bn` exactly (in evaluation), the others its weight
and bias only, as their statistics are others.
"""

from __future__ import annotations

from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from ablab.parts.norm.carry import carry_affine, carry_statistics
from ablab.parts.norm.group import group_norm
from ablab.parts.norm.instance import instance_norm
from ablab.parts.norm.layer import layer_norm
from ablab.registry import register

__all__ = ["carry_affine", "carry_statistics", "group_norm", "instance_norm", "layer_norm"]

register(
    "norm",
    "bn",
    paper="https://arxiv.org/abs/1502.03167",
    note="(x - mean) / sqrt(var + eps) * weight + bias, over batch and places; running statistics in evaluation. Noisy "
    "with small batches; `track_running_stats: false` lets the batch leak into evaluation.",
    host={"num_features": "channels"},
    carry=carry_statistics,
)(nn.BatchNorm2d)
register(
    "norm",
    "frozen-bn",
    paper="https://arxiv.org/abs/1506.01497",
    note="A batch norm whose statistics, weight and bias stand still: four buffers, nothing to learn. New it is the "
    "identity (but for eps), so bring it in with `op: convert`.",
    host={"num_features": "channels"},
    carry=carry_statistics,
)(FrozenBatchNorm2d)
