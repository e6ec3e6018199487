"""YOLOv5 built from modules: CSP backbone, PAN neck, anchor head.

The network is Ultralytics' YOLOv5 v6 (https://github.com/ultralytics/yolov5), written anew from the published
layout; `width` and `depth` multiples give the sizes n s m l x. Every output is a raw map: decoding lives in
`heads`, the loss in `losses`.

    image -> backbone.stem .. backbone.out -> neck -> head
                          P3  P4  P5          P3 P4 P5  (B, A, H, W, 5 + C) each
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ablab.errors import ConfigError, UnknownName
from ablab.recipe import ModelRecipe
from ablab.tasks.detection.heads import AnchorHead

WIDTH_AND_DEPTH = {"n": (0.25, 0.33), "s": (0.5, 0.33), "m": (0.75, 0.67), "l": (1.0, 1.0), "x": (1.25, 1.33)}
STRIDES = (8, 16, 32)


class Conv(nn.Module):
    """Convolution, batch norm, SiLU.  (B, in, H, W) -> (B, out, H / stride, W / stride)"""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, padding: int | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2 if padding is None else padding, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))


class Bottleneck(nn.Module):
    """1x1 then 3x3, added to the input where `shortcut`.  (B, C, H, W) -> (B, C, H, W)"""

    def __init__(self, channels: int, shortcut: bool) -> None:
        super().__init__()
        self.reduce = Conv(channels, channels, 1)
        self.expand = Conv(channels, channels, 3)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(self.reduce(x))
        return x + y if self.shortcut else y


class C3(nn.Module):
    """Cross-stage partial block with three convolutions.  (B, in, H, W) -> (B, out, H, W)"""

    def __init__(self, inputs: int, outputs: int, repeats: int, shortcut: bool = True) -> None:
        super().__init__()
        hidden = outputs // 2
        self.main = Conv(inputs, hidden, 1)
        self.skip = Conv(inputs, hidden, 1)
        self.blocks = nn.Sequential(*(Bottleneck(hidden, shortcut) for _ in range(repeats)))
        self.merge = Conv(2 * hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.merge(torch.cat((self.blocks(self.main(x)), self.skip(x)), dim=1))


class SPPF(nn.Module):
    """Three chained 5x5 max pools, equal to pools of 5, 9 and 13.  (B, in, H, W) -> (B, out, H, W)"""

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


class Backbone(nn.Module):
    """CSPDarknet with a 6x6 stem.  (B, 3, H, W) -> maps at strides 8, 16, 32.

    The maps leave through `out.p3`, `out.p4`, `out.p5`: identities that give surgery a place to act, so that
    `after: backbone.out` means what the neck and head receive.
    """

    def __init__(self, widths: Sequence[int], repeats: Sequence[int]) -> None:
        super().__init__()
        w1, w2, w3, w4, w5 = widths
        self.stem = Conv(3, w1, 6, 2, 2)
        self.stage2 = nn.Sequential(Conv(w1, w2, 3, 2), C3(w2, w2, repeats[0]))
        self.stage3 = nn.Sequential(Conv(w2, w3, 3, 2), C3(w3, w3, repeats[1]))
        self.stage4 = nn.Sequential(Conv(w3, w4, 3, 2), C3(w4, w4, repeats[2]))
        self.stage5 = nn.Sequential(Conv(w4, w5, 3, 2), C3(w5, w5, repeats[3]), SPPF(w5, w5))
        self.out = nn.ModuleDict({"p3": nn.Identity(), "p4": nn.Identity(), "p5": nn.Identity()})

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        p3 = self.stage3(self.stage2(self.stem(x)))
        p4 = self.stage4(p3)
        p5 = self.stage5(p4)
        return self.out["p3"](p3), self.out["p4"](p4), self.out["p5"](p5)


class PAN(nn.Module):
    """Top-down then bottom-up feature fusion (Liu et al. 2018, https://arxiv.org/abs/1803.01534)."""

    def __init__(self, widths: Sequence[int], repeats: int) -> None:
        super().__init__()
        w3, w4, w5 = widths
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.lateral5 = Conv(w5, w4, 1)
        self.down4 = C3(2 * w4, w4, repeats, shortcut=False)
        self.lateral4 = Conv(w4, w3, 1)
        self.down3 = C3(2 * w3, w3, repeats, shortcut=False)
        self.stride4 = Conv(w3, w3, 3, 2)
        self.up4 = C3(2 * w3, w4, repeats, shortcut=False)
        self.stride5 = Conv(w4, w4, 3, 2)
        self.up5 = C3(2 * w4, w5, repeats, shortcut=False)
        self.out = nn.ModuleDict({"p3": nn.Identity(), "p4": nn.Identity(), "p5": nn.Identity()})

    def forward(self, maps: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        p3, p4, p5 = maps
        top = self.lateral5(p5)
        middle = self.lateral4(self.down4(torch.cat((self.up(top), p4), dim=1)))
        n3 = self.down3(torch.cat((self.up(middle), p3), dim=1))
        n4 = self.up4(torch.cat((self.stride4(n3), middle), dim=1))
        n5 = self.up5(torch.cat((self.stride5(n4), top), dim=1))
        return self.out["p3"](n3), self.out["p4"](n4), self.out["p5"](n5)


class YOLOv5(nn.Module):
    """YOLOv5 of one size.  (B, 3, H, W) in 0..1, H and W multiples of 32 -> three raw maps (B, A, H/s, W/s, 5 + C)."""

    strides = STRIDES

    def __init__(self, size: str, classes: int, anchors: Tensor) -> None:
        """`anchors` is (levels, A, 2): widths and heights in pixels."""
        super().__init__()
        width, depth = WIDTH_AND_DEPTH[size]
        widths = [math.ceil(w * width / 8) * 8 for w in (64, 128, 256, 512, 1024)]
        repeats = [max(round(n * depth), 1) for n in (3, 6, 9, 3)]
        self.backbone = Backbone(widths, repeats)
        self.neck = PAN(widths[2:], repeats[0])
        self.head = AnchorHead(widths[2:], classes, anchors, STRIDES)

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.head(self.neck(self.backbone(x)))


MODELS = {"yolov5": (YOLOv5, WIDTH_AND_DEPTH)}  # name: (class, its sizes)


def build_model(recipe: ModelRecipe, classes: int, anchors: np.ndarray | Tensor) -> nn.Module:
    """The network that a recipe names, drawn from torch's current generator.

    `anchors` (3, A, 2) are widths and heights in pixels, for strides 8, 16, 32. Raises UnknownName for an unknown name
    or size; ConfigError where there is no class or the anchors have another shape.
    """
    if recipe.name not in MODELS:
        raise UnknownName("model", recipe.name, MODELS, "model.name")
    build, sizes = MODELS[recipe.name]
    if recipe.size not in sizes:
        raise UnknownName("size", recipe.size, sizes, f"model.size of {recipe.name}")
    if classes < 1:
        raise ConfigError(f"a detector wants at least one class, got {classes}; does the data set name its classes?")
    anchors = torch.as_tensor(anchors, dtype=torch.float32)
    if anchors.ndim != 3 or anchors.shape[0] != len(STRIDES) or anchors.shape[2] != 2:
        raise ConfigError(f"anchors: expected the shape ({len(STRIDES)}, A, 2), got {tuple(anchors.shape)}")
    return build(recipe.size, classes, anchors)


def check_size(size: tuple[int, int], stride: int = STRIDES[-1]) -> None:
    """Raise ConfigError, naming the nearest sizes, unless height and width (pixels) are multiples of the stride."""
    if all(side > 0 and side % stride == 0 for side in size):
        return
    below, above = (tuple(max(step(side / stride), 1) * stride for side in size) for step in (math.floor, math.ceil))
    raise ConfigError(
        f"train.image_size: {size[0]} x {size[1]} (height x width) is no multiple of the network's stride {stride};"
        f" the nearest are {below[0]} x {below[1]} and {above[0]} x {above[1]}"
    )
