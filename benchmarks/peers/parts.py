"""The public counterpart of each part: timm's module where it has one, else the plain formulation of the paper's code.

Each is built for C channels; a convolution is 3x3, C to C.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from timm.layers import create_attn
from timm.models.byobnet import RepVggBlock
from torch import Tensor, nn

Build = Callable[[int], nn.Module]


def normed(channels: int, kernel: int | tuple[int, int], groups: int = 1) -> nn.Sequential:
    """A convolution that keeps the shape, and its batch norm."""
    conv = nn.Conv2d(channels, channels, kernel, padding="same", groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels))


class FunnelReLU(nn.Module):
    """max(x, bn(conv(x))), as FReLU's published code has it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.max(x, self.bn(self.conv(x)))


class ShiftMax(nn.Module):
    """Two branches of two terms, the second map taken by an index over channels, as MicroNet's ports have it."""

    def __init__(self, channels: int, groups: int = 8) -> None:
        super().__init__()
        index = torch.arange(channels).view(groups, -1).roll(-1, 0).flatten()
        self.register_buffer("index", index)
        narrow = max(channels // 4, 4)
        gate = nn.Sequential(nn.Linear(channels, narrow), nn.ReLU(), nn.Linear(narrow, 4 * channels), nn.Hardsigmoid())
        self.pool, self.gate = nn.AdaptiveAvgPool2d(1), gate

    def forward(self, x: Tensor) -> Tensor:
        a = (2 * self.gate(self.pool(x).flatten(1)) - 1).view(len(x), 4, -1, 1, 1)
        other = x[:, self.index]
        return torch.max(x * (a[:, 0] + 1) + other * a[:, 1], x * a[:, 2] + other * a[:, 3])


class TrainableSwish(nn.Module):
    """x * sigmoid(beta * x)."""

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.beta * x)


class Maxout(nn.Module):
    """The maximum over the pieces of one linear map, by a view."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Conv2d(channels, 2 * channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        return self.linear(x).view(batch, 2, channels, height, width).max(dim=1).values


class PointwiseGate(nn.Module):
    """x * sigmoid(conv(x)), as YOLOv4's ports have it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.conv(x)) * x


class Attend(nn.Module):
    """x + nn.MultiheadAttention over places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        places = x.flatten(2).permute(0, 2, 1)
        return x + self.attention(places, places, places)[0].permute(0, 2, 1).view_as(x)


class Added(nn.Module):
    """Several modules on one map, added."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return sum(branch(x) for branch in self.branches)  # type: ignore[return-value]


class CentralDifference(nn.Module):
    """conv(x) - theta * (1x1 convolution by the kernel's sum), as CDCN's published code has it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        centre = self.conv.weight.sum((2, 3), keepdim=True)
        return self.conv(x) - 0.7 * nn.functional.conv2d(x, centre)


def rep_vgg(channels: int) -> nn.Module:
    """timm's block without its activation."""
    block = RepVggBlock(channels, channels)
    block.act = nn.Identity()
    return block


def fused_rep_vgg(channels: int) -> nn.Module:
    """timm's block as it ships."""
    block = rep_vgg(channels).eval()
    block.reparameterize()  # type: ignore[operator]
    return block


PEERS: dict[str, tuple[str, Build]] = {
    "activation/frelu": ("max(x, bn(conv(x)))", FunnelReLU),
    "activation/dy-shift-max": ("MicroNet's formulation", ShiftMax),
    "activation/swish": ("x * sigmoid(beta * x)", lambda channels: TrainableSwish()),
    "activation/maxout": ("view and max", Maxout),
    "attention/se": ("timm se", lambda c: create_attn("se", c, rd_channels=c // 16)),
    "attention/cbam": ("timm cbam", lambda c: create_attn("cbam", c, rd_channels=c // 16)),
    "attention/eca": ("timm eca", lambda c: create_attn("eca", c)),
    "attention/ca": ("timm coord", lambda c: create_attn("coord", c, rd_channels=max(c // 32, 8))),
    "attention/gc": ("timm gca", lambda c: create_attn("gca", c, rd_channels=c // 16)),
    "attention/nl": ("timm nl", lambda c: create_attn("nl", c, rd_channels=c // 2)),
    "attention/sam": ("sigmoid(conv(x)) * x", PointwiseGate),
    "attention/self": ("x + nn.MultiheadAttention", Attend),
    "conv/repvgg": ("timm RepVggBlock", rep_vgg),
    "conv/repvgg, fused": ("timm RepVggBlock, reparameterized", fused_rep_vgg),
    "conv/acnet": ("three conv and bn, added", lambda c: Added(normed(c, 3), normed(c, (3, 1)), normed(c, (1, 3)))),
    "conv/central-difference": ("CDCN's formulation", CentralDifference),
    "conv/depthwise-separable": (
        "nn.Sequential of two",
        lambda c: nn.Sequential(nn.Conv2d(c, c, 3, padding=1, groups=c, bias=False), nn.Conv2d(c, c, 1)),
    ),
}
