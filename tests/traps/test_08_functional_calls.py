"""Trap 8: a module swap misses functional calls (`F.gelu` in a forward)."""

import torch
from torch import nn
from torch.nn import functional as F

from ablab import surgery

X = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))


class Half(nn.Module):
    """One GELU as a module, one as a function."""

    def __init__(self):
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 3, 1), nn.GELU()

    def forward(self, x):
        return F.gelu(self.act(self.conv(x))) + F.silu(x)


def test_what_the_swap_misses_is_listed():
    network = nn.Sequential(Half(), Half(), nn.Sequential(nn.Conv2d(3, 3, 1), nn.GELU()))
    _, report = surgery.apply(network, [surgery.replace(of="gelu", part="frelu")], X)
    assert len(report.sites) == 3
    assert report.unreached == ("F.gelu in 0", "F.gelu in 1")


def test_within_narrows_what_is_missed():
    network = nn.Sequential(Half(), Half())
    _, report = surgery.apply(network, [surgery.replace(of="GELU", part="relu", within="1")], X)
    assert report.unreached == ("F.gelu in 1",)


def test_nothing_is_missed_where_all_are_modules():
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.GELU(), nn.Sequential(nn.GELU(), nn.SiLU()))
    _, report = surgery.apply(network, [surgery.replace(of="gelu", part="relu")], X)
    assert report.unreached == ()
