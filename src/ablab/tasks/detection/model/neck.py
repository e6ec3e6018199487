"""Necks: maps of a backbone in, as many maps of the same strides out, each knowing of the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ablab.tasks.detection.blocks import C3, Conv, Separable
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
        self.channels = (w3, w4, w5)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.down5 = C3(i5, w5, repeats, residual=None)
        self.lateral5 = Conv(w5, w4, 1)
        self.down4 = C3(w4 + i4, w4, repeats, residual=None)
        self.lateral4 = Conv(w4, w3, 1)
        self.down3 = C3(w3 + i3, w3, repeats, residual=None)
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
        self.channels = (w3, w4, w5)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.lateral5 = Conv(i5, w4, 1)
        self.down4 = C3(w4 + i4, w4, repeats, residual=None)
        self.lateral4 = Conv(w4, w3, 1)
        self.down3 = C3(w3 + i3, w3, repeats, residual=None)
        self.stride4 = Conv(w3, w3, 3, 2)
        self.up4 = C3(2 * w3, w4, repeats, residual=None)
        self.stride5 = Conv(w4, w4, 3, 2)
        self.up5 = C3(2 * w4, w5, repeats, residual=None)
        self.out = exits()

    def forward(self, maps: Maps) -> Maps:
        p3, p4, p5 = maps
        top = self.lateral5(p5)
        middle = self.lateral4(self.down4(torch.cat((self.up(top), p4), dim=1)))
        n3: Tensor = self.down3(torch.cat((self.up(middle), p3), dim=1))
        n4 = self.up4(torch.cat((self.stride4(n3), middle), dim=1))
        n5 = self.up5(torch.cat((self.stride5(n4), top), dim=1))
        return self.out["p3"](n3), self.out["p4"](n4), self.out["p5"](n5)


class Fusion(nn.Module):
    """Maps of one shape, weighed and summed: sum(w_i x_i) / (sum(w) + 1e-4) with w = relu(learnt), all 1 at first.

    Tan et al. 2020, section 3.3, "fast normalized fusion".  n times (B, C, H, W) -> (B, C, H, W)
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(count))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        weight = self.weight.relu()
        weight = weight / (weight.sum() + 1e-4)
        return torch.stack([w * x for w, x in zip(weight, maps, strict=True)]).sum(dim=0)


class BiLayer(nn.Module):
    """One layer of BiFPN: top-down, then bottom-up; p4's way up sees p4 itself too.  Maps of one width -> Maps

    p5 ---+-----------------------> up5 --> p5
          up                        down
    p4 ---+--> down4 --+--(and p4)-> up4 --> p4
                       up           down
    p3 ----------------+--> down3 --+-----> p3
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.down = nn.MaxPool2d(3, 2, 1)
        self.weigh = nn.ModuleDict({name: Fusion(count) for name, count in COUNTS.items()})
        self.merge = nn.ModuleDict({name: Separable(width, width) for name in COUNTS})

    def forward(self, maps: Maps) -> Maps:
        p3, p4, p5 = maps
        middle = self.fuse("down4", p4, self.up(p5))
        n3 = self.fuse("down3", p3, self.up(middle))
        n4 = self.fuse("up4", p4, middle, self.down(n3))
        return n3, n4, self.fuse("up5", p5, self.down(n4))

    def fuse(self, name: str, *maps: Tensor) -> Tensor:
        """Weigh, sum, convolve.  n times (B, C, H, W) -> (B, C, H, W)"""
        fused: Tensor = self.merge[name](self.weigh[name](maps))
        return fused


COUNTS = {"down4": 2, "down3": 2, "up4": 3, "up5": 2}  # maps that each place of a layer fuses


class BiFPN(nn.Module):
    """Weighted fusion both ways, layer upon layer (Tan et al. 2020, https://arxiv.org/abs/1911.09070), at one width.

    The width is the narrowest map's and there are `repeats` + 2 layers: 64 and 3 in size n as in EfficientDet-D0,
    growing alike from there. Levels are stretched to the nearest cell and shrunk by max pools, as in the paper.
    """

    def __init__(self, inputs: Sequence[int], widths: Sequence[int], repeats: int) -> None:
        """`inputs` are the backbone's channels at strides 8, 16, 32; `widths` the first of which is this neck's."""
        super().__init__()
        width = widths[0]
        self.channels = (width, width, width)
        self.lateral = nn.ModuleList(Conv(channels, width, 1) for channels in inputs)
        self.layers = nn.Sequential(*(BiLayer(width) for _ in range(repeats + 2)))
        self.out = exits()

    def forward(self, maps: Maps) -> Maps:
        p3, p4, p5 = self.layers([lateral(x) for lateral, x in zip(self.lateral, maps, strict=True)])
        return self.out["p3"](p3), self.out["p4"](p4), self.out["p5"](p5)
