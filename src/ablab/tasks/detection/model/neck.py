"""Necks: maps of a backbone in, as many maps of the same strides out, each knowing of the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ablab.tasks.detection.blocks import C3, Conv
from ablab.tasks.detection.model.backbone import Maps, exits


class FPN(nn.Module):
    """Top-down feature fusion (Lin et al. 2017, https://arxiv.org/abs/1612.03144), with C3 blocks.

    p5 --down5--+---------------------------> p5
            lateral5, up
    p4 ---------+--down4--+-----------------> p4
                      lateral4, up
    p3 -------------------+--down3----------> p3
    """

    def __init__(self, inputs: Sequence[int], widths: Sequence[int], repeats: int) -> None:
        """`inputs` are the backbone's channels at strides 8, 16, 32; `widths` this neck's."""
        super().__init__()
        (i3, i4, i5), (w3, w4, w5) = inputs, widths
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.down5 = C3(i5, w5, repeats, shortcut=False)
        self.lateral5 = Conv(w5, w4, 1)
        self.down4 = C3(w4 + i4, w4, repeats, shortcut=False)
        self.lateral4 = Conv(w4, w3, 1)
        self.down3 = C3(w3 + i3, w3, repeats, shortcut=False)
        self.out = exits()

    def forward(self, maps: Maps) -> Maps:
        p3, p4, p5 = maps
        n5 = self.down5(p5)
        n4 = self.down4(torch.cat((self.up(self.lateral5(n5)), p4), dim=1))
        n3 = self.down3(torch.cat((self.up(self.lateral4(n4)), p3), dim=1))
        return self.out["p3"](n3), self.out["p4"](n4), self.out["p5"](n5)


class PAN(nn.Module):
    """Top-down then bottom-up feature fusion (Liu et al. 2018, https://arxiv.org/abs/1803.01534), with C3 blocks."""

    def __init__(self, inputs: Sequence[int], widths: Sequence[int], repeats: int) -> None:
        """`inputs` are the backbone's channels at strides 8, 16, 32; `widths` this neck's."""
        super().__init__()
        (i3, i4, i5), (w3, w4, w5) = inputs, widths
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.lateral5 = Conv(i5, w4, 1)
        self.down4 = C3(w4 + i4, w4, repeats, shortcut=False)
        self.lateral4 = Conv(w4, w3, 1)
        self.down3 = C3(w3 + i3, w3, repeats, shortcut=False)
        self.stride4 = Conv(w3, w3, 3, 2)
        self.up4 = C3(2 * w3, w4, repeats, shortcut=False)
        self.stride5 = Conv(w4, w4, 3, 2)
        self.up5 = C3(2 * w4, w5, repeats, shortcut=False)
        self.out = exits()

    def forward(self, maps: Maps) -> Maps:
        p3, p4, p5 = maps
        top = self.lateral5(p5)
        middle = self.lateral4(self.down4(torch.cat((self.up(top), p4), dim=1)))
        n3: Tensor = self.down3(torch.cat((self.up(middle), p3), dim=1))
        n4 = self.up4(torch.cat((self.stride4(n3), middle), dim=1))
        n5 = self.up5(torch.cat((self.stride5(n4), top), dim=1))
        return self.out["p3"](n3), self.out["p4"](n4), self.out["p5"](n5)
