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
        self.register_buffer("anchors", anchors.float())
        self.predict = nn.ModuleList(nn.Conv2d(c, anchors.shape[1] * (5 + classes), 1) for c in channels)
        self._set_priors()

    def _set_priors(self) -> None:
        """Start objectness at about 8 objects in a 640-pixel image and classes at a share of 0.6 / C, so that the
        first steps are not spent on unlearning 0.5 (Lin et al. 2017, section 3.3)."""
        for conv, stride in zip(self.predict, self.strides, strict=True):
            bias = conv.get_parameter("bias").detach().view(self.anchors.shape[1], -1)
            bias[:, 4] += math.log(8 / (640 / stride) ** 2)
            bias[:, 5:] += math.log(0.6 / (self.classes - 0.99999))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """(B, C_l, H_l, W_l) a level -> (B, A, H_l, W_l, 5 + classes) a level"""
        raw = []
        for conv, x in zip(self.predict, maps, strict=True):
            b, _, h, w = x.shape
            raw.append(conv(x).view(b, self.anchors.shape[1], 5 + self.classes, h, w).permute(0, 1, 3, 4, 2))
        return raw

    def decode(self, raw: Sequence[Tensor]) -> Tensor:
        """Raw maps -> (B, N, 5 + classes): x1 y1 x2 y2 in pixels, objectness and class probabilities.

        xy = (2 sigmoid - 0.5 + cell) * stride, wh = (2 sigmoid)^2 * anchor (YOLOv5).
        """
        boxes = []
        for level, y in enumerate(raw):
            b, a, h, w, k = y.shape
            y = y.float().sigmoid()
            rows = torch.arange(h, device=y.device, dtype=y.dtype)
            columns = torch.arange(w, device=y.device, dtype=y.dtype)
            cell = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)  # (H, W, 2)
            centre = (y[..., :2] * 2 - 0.5 + cell) * self.strides[level]
            half = (y[..., 2:4] * 2) ** 2 * self.anchors[level].view(1, a, 1, 1, 2) / 2
            box = torch.cat((centre - half, centre + half, y[..., 4:]), dim=-1)
            boxes.append(box.reshape(b, a * h * w, k))
        return torch.cat(boxes, dim=1)
