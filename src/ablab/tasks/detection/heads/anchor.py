"""YOLOv5's head: boxes as corrections of anchors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ablab.tasks.detection.grid import Grid, along


class AnchorHead(nn.Module):
    """One 1x1 convolution a level, predicting (x, y, w, h, objectness, classes) for each anchor.

    `forward` returns raw maps (B, A * (5 + C), H, W); `decode` turns them into boxes in pixels and scores.
    """

    anchors: Tensor  # (levels, A, 2), pixels
    constants = ("anchors",)  # starting weights do not replace them

    def __init__(self, channels: Sequence[int], classes: int, anchors: Tensor, strides: Sequence[int]) -> None:
        super().__init__()
        self.classes = classes
        self.strides = tuple(strides)
        self.register_buffer("anchors", anchors.detach().clone().float())
        self.predict = nn.ModuleList(nn.Conv2d(c, anchors.shape[1] * (5 + classes), 1) for c in channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start objectness at about 8 objects in a 640-pixel image and classes at a share of 0.6 / C, so that the
        first steps are not spent on unlearning 0.5 (Lin et al. 2017, section 3.3)."""
        for conv, stride in zip(self.predict, self.strides, strict=True):
            cast(nn.Conv2d, conv).reset_parameters()
            bias = conv.get_parameter("bias").detach().view(self.anchors.shape[1], -1)
            bias[:, 4] += math.log(8 / (640 / stride) ** 2)
            if self.classes > 1:  # one class is never trained: see `decode`
                bias[:, 5:] += math.log(0.6 / (self.classes - 0.99999))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """(B, C_l, H_l, W_l) a level -> (B, A * (5 + classes), H_l, W_l) a level"""
        return [conv(x) for conv, x in zip(self.predict, maps, strict=True)]

    def decode(self, raw: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Raw maps -> boxes (B, N, 4) x1 y1 x2 y2 in pixels and scores (B, N, classes) in 0..1, in float32.

        A score is objectness times class probability. With one class that probability is 1: nothing trains it.
        """
        grid = Grid(self.strides, tuple((y.shape[2], y.shape[3]) for y in raw), raw[0].device, self.anchors)
        return decode_anchors(along(raw, grid.each), grid)


def decode_anchors(raw: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """(B, N, 5 + C) -> boxes (B, N, 4) and scores (B, N, C); see `AnchorHead.decode`."""
    share = raw.sigmoid()
    boxes = decode_boxes(share[..., :4], grid.centres(), grid.sides(), grid.pitch())
    objectness, classes = share[..., 4:5], share[..., 5:]
    return boxes, objectness if classes.shape[-1] == 1 else objectness * classes


def decode_boxes(share: Tensor, centre: Tensor, anchor: Tensor, stride: Tensor, smallest: float = 0.0) -> Tensor:
    """Boxes from sigmoids: xy = centre of the cell + (2 s - 1) * stride, wh = (2 s)^2 * anchor (YOLOv5).

    share (..., 4) in 0..1, centre and anchor (..., 2) in pixels, stride (..., 1) -> (..., 4) x1 y1 x2 y2 in pixels,
    with no side below `smallest` pixels.
    """
    centre = centre + (share[..., :2] * 2 - 1) * stride
    half = ((share[..., 2:] * 2) ** 2 * anchor).clamp(min=smallest) / 2
    return torch.cat((centre - half, centre + half), dim=-1)
