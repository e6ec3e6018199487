"""Detection heads: from feature maps to raw maps, and from raw maps to boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class AnchorHead(nn.Module):
    """One 1x1 convolution a level, predicting (x, y, w, h, objectness, classes) for each anchor.

    `forward` returns raw maps; `decode` turns them into boxes in pixels.
    """

    anchors: Tensor  # (levels, A, 2), pixels

    def __init__(self, channels: Sequence[int], classes: int, anchors: Tensor, strides: Sequence[int]) -> None:
        super().__init__()
        self.classes = classes
        self.strides = tuple(strides)
        self.register_buffer("anchors", anchors.detach().clone().float())
        self.predict = nn.ModuleList(nn.Conv2d(c, anchors.shape[1] * (5 + classes), 1) for c in channels)
        self._set_priors()

    def _set_priors(self) -> None:
        """Start objectness at about 8 objects in a 640-pixel image and classes at a share of 0.6 / C, so that the
        first steps are not spent on unlearning 0.5 (Lin et al. 2017, section 3.3)."""
        for conv, stride in zip(self.predict, self.strides, strict=True):
            bias = conv.get_parameter("bias").detach().view(self.anchors.shape[1], -1)
            bias[:, 4] += math.log(8 / (640 / stride) ** 2)
            if self.classes > 1:  # one class is never trained: see `decode`
                bias[:, 5:] += math.log(0.6 / (self.classes - 0.99999))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """(B, C_l, H_l, W_l) a level -> (B, A, H_l, W_l, 5 + classes) a level"""
        raw = []
        for conv, x in zip(self.predict, maps, strict=True):
            b, _, h, w = x.shape
            raw.append(conv(x).view(b, self.anchors.shape[1], 5 + self.classes, h, w).permute(0, 1, 3, 4, 2))
        return raw

    def decode(self, raw: Sequence[Tensor]) -> Tensor:
        """Raw maps -> (B, N, 5 + classes): x1 y1 x2 y2 in pixels, objectness and class probabilities, in float32.

        With one class its probability is 1: nothing trains it, and objectness is the score.
        """
        levels = []
        for level, y in enumerate(raw):
            b, a, h, w, k = y.shape
            y = y.float().sigmoid()
            rows = torch.arange(h, device=y.device)
            columns = torch.arange(w, device=y.device)
            cell = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)  # (H, W, 2)
            box = decode_boxes(y[..., :4], cell, self.anchors[level].view(a, 1, 1, 2), self.strides[level])
            classes = torch.ones_like(y[..., 5:]) if self.classes == 1 else y[..., 5:]
            levels.append(torch.cat((box, y[..., 4:5], classes), dim=-1).reshape(b, a * h * w, k))
        return torch.cat(levels, dim=1)


def decode_boxes(share: Tensor, cell: Tensor, anchor: Tensor, stride: int, smallest: float = 0.0) -> Tensor:
    """Boxes from sigmoids: xy = (2 s - 0.5 + cell) * stride, wh = (2 s)^2 * anchor (YOLOv5).

    share (..., 4) in 0..1, cell (..., 2) as column and row, anchor (..., 2) in pixels -> (..., 4) x1 y1 x2 y2 in
    pixels, with no side below `smallest` pixels.
    """
    centre = (share[..., :2] * 2 - 0.5 + cell) * stride
    half = ((share[..., 2:] * 2) ** 2 * anchor).clamp(min=smallest) / 2
    return torch.cat((centre - half, centre + half), dim=-1)
