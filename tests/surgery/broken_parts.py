"""Parts that break their promises, each in one way. Named by import string in the tests."""

import torch
from torch import nn


class Shrink(nn.Module):
    """Loses a row."""

    def forward(self, x):
        return x[:, :, 1:]


class Overflow(nn.Module):
    def forward(self, x):
        return x / 0


class Crash(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels + 1, channels, 1)

    def forward(self, x):
        return self.conv(x)


class Idle(nn.Module):
    """Holds a parameter that it does not use."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.unused = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x * self.scale


class Scale(nn.Module):
    """Sound: a drawn factor a channel."""

    def __init__(self, channels, spread=1.0):
        super().__init__()
        self.factor = nn.Parameter(torch.randn(channels, 1, 1) * spread)

    def forward(self, x):
        return x * self.factor


def not_a_module():
    return torch.relu


def swallow(**kwargs):
    """A typo goes down here (trap 7)."""
    return nn.Identity()


class Detached(nn.Module):
    """Cuts the gradient off."""

    def forward(self, x):
        return x.detach().sigmoid()


class BatchBound(nn.Module):
    """Centres a sample by its neighbours, in evaluation too (trap 22)."""

    def forward(self, x):
        return x - x.mean(dim=0, keepdim=True)


class Deaf(nn.Module):
    """Takes two arguments and forgets one (trap 6)."""

    def __init__(self, slope=0.1, window=3):
        super().__init__()
        self.slope = slope

    def forward(self, x):
        return torch.maximum(x, self.slope * x)


class Exponential(nn.Module):
    """Overflows above 88, in single precision."""

    def forward(self, x):
        return x.exp()
