"""Small networks to operate on, each with one peculiarity."""

import torch
from torch import nn
from torch.nn import functional as F

from ablab.measure.seeding import forked
from ablab.tasks.detection.model import YOLOv5
from ablab.tasks.detection.recipe import DetectionModel


def yolo():
    with forked("test"):
        return YOLOv5(DetectionModel(), 3, torch.rand(3, 3, 2) * 50)


def drawn(kind, *args, **kwargs):
    """A network with fixed weights."""
    with forked("test"):
        return kind(*args, **kwargs)


class Plain(nn.Module):
    """Conv, norm, activation, dropout, head."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.act = nn.SiLU()
        self.drop = nn.Dropout(0.5)
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        return self.head(self.drop(self.act(self.norm(self.conv(x)))))


class Loop(nn.Module):
    """One activation for layers of three widths, called in a loop."""

    def __init__(self, act):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in ((3, 4), (4, 6), (6, 8)))
        self.act = act

    def forward(self, x, stop_early=False):
        for layer in self.layers:
            x = self.act(layer(x))
            if stop_early:
                raise RuntimeError("stopped in the middle")
        return x


class SharedHead(nn.Module):
    """One head, shared on purpose, on two maps (as RetinaNet's)."""

    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))

    def forward(self, x):
        return self.head(x), self.head(x[:, :, ::2, ::2])


class Twins(nn.Module):
    """Two blocks that hold one and the same activation."""

    def __init__(self, act):
        super().__init__()
        self.left = nn.Sequential(nn.Conv2d(3, 4, 1), act)
        self.right = nn.Sequential(nn.Conv2d(4, 6, 1), act)

    def forward(self, x):
        return self.right(self.left(x))


class Functional(nn.Module):
    """Activations as functions, in three spellings, beside one as a module."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GELU(), FunctionalBlock())

    def forward(self, x):
        return self.block(x).relu().sigmoid_()


class FunctionalBlock(nn.Module):
    def forward(self, x):
        return torch.relu(F.gelu(x)) + F.relu(x)


class Tokens(nn.Module):
    """A transformer's MLP: channels on the last axis."""

    def __init__(self):
        super().__init__()
        self.grow, self.act, self.shrink = nn.Linear(3, 12), nn.GELU(), nn.Linear(12, 3)

    def forward(self, x):
        return self.shrink(self.act(self.grow(x)))


class Branch(nn.Module):
    """Gives a tuple, and holds a module that never runs in evaluation."""

    def __init__(self):
        super().__init__()
        self.stem = Split()
        self.auxiliary = nn.ReLU()

    def forward(self, x):
        low, high = self.stem(x)
        return self.auxiliary(low) if self.training else low + high.mean()


class Split(nn.Module):
    def forward(self, x):
        return x, x[:, :, ::2]


class Scaled(nn.Module):
    """A block that takes a second argument and a named one."""

    def forward(self, x, factor, *, shift=0.0):
        return x * factor + shift


class Host(nn.Module):
    def __init__(self):
        super().__init__()
        self.scaled = Scaled()

    def forward(self, x):
        return self.scaled(x, 2.0, shift=1.0)
