"""The blocks that YOLOv5 is made of (https://github.com/ultralytics/yolov5), written anew from the published layout."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_unshuffle


class Conv(nn.Module):
    """Convolution, batch norm, SiLU.  (B, in, H, W) -> (B, out, H / stride, W / stride)"""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))


class Focus(nn.Module):
    """Each 2 x 2 square of pixels becomes one cell of four times the channels; then a 3x3 convolution.

    YOLOv5's stem before v6. The same function as a 6x6 convolution of stride 2 and padding 2, whose weight
    (out, in, 6, 6) is this one's (out, in * 4, 3, 3) with channel c * 4 + 2 * y + x at row 2 i + y, column 2 j + x.

    (B, in, H, W) -> (B, out, H / 2, W / 2)
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.merge = Conv(4 * inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.merge(pixel_unshuffle(x, 2))


class Separable(nn.Sequential):
    """A convolution a channel, then 1x1 across them, each with batch norm and SiLU.

    Against a full k x k convolution to N channels it costs 1 / N + 1 / k^2 (Howard et al. 2017,
    https://arxiv.org/abs/1704.04861, section 3.1).  (B, in, H, W) -> (B, out, H / stride, W / stride)
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(Conv(inputs, inputs, kernel, stride, groups=inputs), Conv(inputs, outputs))


class SeparableStem(nn.Sequential):
    """Two 3x3 convolutions, the first of stride 2, and a depthwise-separable one.

    (B, in, H, W) -> (B, out, H / 2, W / 2)
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(Conv(inputs, outputs, 3, 2), Conv(outputs, outputs, 3), Separable(outputs, outputs))


class Bottleneck(nn.Module):
    """1x1 then 3x3, and what becomes of the input.  (B, C, H, W) -> (B, C, H, W)

    `residual` is `add`: x + y, as in ResNet; `concat`: a 1x1 convolution over both, side by side; None: y alone.
    """

    def __init__(self, channels: int, residual: str | None = "add") -> None:
        super().__init__()
        self.reduce = Conv(channels, channels, 1)
        self.expand = Conv(channels, channels, 3)
        self.residual = residual
        if residual == "concat":
            self.merge = Conv(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.expand(self.reduce(x))
        if self.residual == "concat":
            return self.merge(torch.cat((x, y), dim=1))
        return x + y if self.residual else y


class C3(nn.Module):
    """Cross-stage partial block with three convolutions.  (B, in, H, W) -> (B, out, H, W)"""

    def __init__(self, inputs: int, outputs: int, repeats: int, residual: str | None = "add") -> None:
        super().__init__()
        hidden = outputs // 2
        self.main = Conv(inputs, hidden, 1)
        self.skip = Conv(inputs, hidden, 1)
        self.blocks = nn.Sequential(*(Bottleneck(hidden, residual) for _ in range(repeats)))
        self.merge = Conv(2 * hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.merge(torch.cat((self.blocks(self.main(x)), self.skip(x)), dim=1))


class SPP(nn.Module):
    """Max pools of 5, 9 and 13 cells side by side (He et al. 2014, https://arxiv.org/abs/1406.4729).

    (B, in, H, W) -> (B, out, H, W)
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        hidden = inputs // 2
        self.reduce = Conv(inputs, hidden, 1)
        self.pools = nn.ModuleList(nn.MaxPool2d(size, 1, size // 2) for size in (5, 9, 13))
        self.merge = Conv(4 * hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        return self.merge(torch.cat((x, *(pool(x) for pool in self.pools)), dim=1))


class SPPF(nn.Module):
    """Three chained 5x5 max pools, equal to SPP's pools of 5, 9 and 13.  (B, in, H, W) -> (B, out, H, W)"""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        hidden = inputs // 2
        self.reduce = Conv(inputs, hidden, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.merge = Conv(4 * hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        once = self.pool(x)
        twice = self.pool(once)
        return self.merge(torch.cat((x, once, twice, self.pool(twice)), dim=1))


class ASPP(nn.Module):
    """A 1x1 convolution, three dilated 3x3 ones and the mean of the whole map, side by side.

    DeepLabv3 (Chen et al. 2017, https://arxiv.org/abs/1706.05587, section 3.3). Its rates are 6, 12 and 18 at stride 16
    and twice that at stride 8; so half of them here, at stride 32. Each branch has a quarter of the inputs (an eighth
    there, of ResNet's 2048). The mean's branch has a bias and no batch norm: one image alone has no variance.

    (B, in, H, W) -> (B, out, H, W)
    """

    def __init__(self, inputs: int, outputs: int, rates: Sequence[int] = (3, 6, 9)) -> None:
        super().__init__()
        hidden = inputs // 4
        self.point = Conv(inputs, hidden, 1)
        self.dilated = nn.ModuleList(Conv(inputs, hidden, 3, padding=rate, dilation=rate) for rate in rates)
        self.image = nn.Sequential(nn.Conv2d(inputs, hidden, 1), nn.SiLU())
        self.merge = Conv((2 + len(rates)) * hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        whole = self.image(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])  # (B, hidden, H, W)
        return self.merge(torch.cat((self.point(x), *(branch(x) for branch in self.dilated), whole), dim=1))
