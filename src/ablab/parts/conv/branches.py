"""Convolutions of one centre side by side, each with its batch norm, added; what ACNet and RepVGG share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from ablab.parts.conv.carrying import weights
from ablab.parts.conv.part import ConvPart
from ablab.parts.conv.reparameterize import in_the_middle, scale_and_shift
from ablab.parts.conv.site import Pair, Site


class Branch(nn.Module):
    """A convolution without bias and a batch norm.  (B, in, H, W) -> (B, out, H', W')"""

    def __init__(self, place: Site) -> None:
        super().__init__()
        self.crop, self.conv, self.norm = place.crop(), place.conv(), nn.BatchNorm2d(place.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(self.crop(x)))

    def folded(self, kernel: Pair) -> tuple[Tensor, Tensor]:
        """One convolution's weight in a kernel of that size, and its bias, of the same function in evaluation mode."""
        scale, shift = scale_and_shift(self.norm)
        return in_the_middle(self.conv.weight * scale[:, None, None, None], kernel), shift

    def take(self, weight: Tensor, bias: Tensor) -> None:
        """Become the convolution with this weight and bias, in evaluation mode."""
        scale, shift = scale_and_shift(self.norm)
        self.conv.weight.copy_(weight / scale[:, None, None, None])
        self.norm.bias.add_(bias - shift)


class Shortcut(nn.Module):
    """The map itself through a batch norm, as a branch.  (B, C, H, W) -> (B, C, H, W)"""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm, self.groups = nn.BatchNorm2d(channels), groups

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)

    def folded(self, kernel: Pair) -> tuple[Tensor, Tensor]:
        """The convolution of the same function in evaluation mode: the scale at the centre of each own channel."""
        scale, shift = scale_and_shift(self.norm)
        own = torch.eye(len(scale) // self.groups, dtype=scale.dtype, device=scale.device).repeat(self.groups, 1)
        return in_the_middle((own * scale[:, None])[:, :, None, None], kernel), shift


class Branches(ConvPart):
    """Branches of several kernels around one centre, added.  (B, in, H, W) -> (B, out, H', W') as nn.Conv2d"""

    def __init__(self, place: Site, kernels: Mapping[str, Pair], shortcut: bool) -> None:
        super().__init__(place)
        branches: dict[str, nn.Module] = {name: Branch(place.window(size)) for name, size in kernels.items()}
        if shortcut:
            branches["identity"] = Shortcut(place.out_channels, place.groups)
        self.branches = nn.ModuleDict(branches)

    def forward(self, x: Tensor) -> Tensor:
        return reduce(torch.add, [branch(x) for branch in self.branches.values()])

    def fuse(self) -> nn.Conv2d:
        """One convolution that gives what the branches give in evaluation mode."""
        conv = self.place.conv(bias=True).train(self.training)
        with torch.no_grad():
            weight, bias = self._folded(self.branches.values())
            conv.to(weight)
            conv.weight.copy_(weight)
            conv.bias.copy_(bias)  # type: ignore[union-attr]
        return conv

    def carry(self, old: nn.Module) -> None:
        """Give what a plain convolution gives, in evaluation mode: the first branch takes what the others leave."""
        weight, bias = weights(old, self.place)
        first, *others = self.branches.values()
        assert isinstance(first, Branch)
        with torch.no_grad():
            given, shift = self._folded(others)
            first.take(weight - given, -shift if bias is None else bias - shift)

    def _folded(self, branches: Iterable[Any]) -> tuple[Tensor, Tensor]:
        """The weight and bias of the branches' sum."""
        folded = [branch.folded(self.place.kernel_size) for branch in branches]
        return reduce(torch.add, [weight for weight, _ in folded]), reduce(torch.add, [bias for _, bias in folded])


def carry(old: nn.Module, new: Branches) -> None:
    """Give what a plain convolution gives in evaluation mode. In training the batch norms see other statistics."""
    new.carry(old)
