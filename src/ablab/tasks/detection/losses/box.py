"""The slot `box_loss`: (N, 4), (N, 4) x1 y1 x2 y2 -> (N,), in float32 or better; 0 where the boxes are equal.

The boxes must have positive width and height. No reduction happens here, so that N = 0 stays in the graph.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss

from ablab.registry import register


def paired_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of each box with its partner.  (N, 4), (N, 4) -> (N,)

    torchvision's `box_iou` gives all pairs, N * N of them, where only the diagonal is wanted.
    """
    boxes, others = (x if x.dtype == torch.float64 else x.float() for x in (boxes, others))
    low = torch.maximum(boxes[:, :2], others[:, :2])
    high = torch.minimum(boxes[:, 2:], others[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) + (others[:, 2:] - others[:, :2]).prod(dim=1) - shared
    return shared / union.clamp(min=torch.finfo(union.dtype).tiny)


@register("box_loss", "iou", paper="https://arxiv.org/abs/1608.01471", flat_when_disjoint=True)
class IoULoss(nn.Module):
    """1 - IoU (UnitBox takes -ln IoU). Flat where the boxes do not touch.  (N, 4), (N, 4) -> (N,)"""

    def forward(self, boxes: Tensor, targets: Tensor) -> Tensor:
        return 1 - paired_iou(boxes, targets)


@register("box_loss", "giou", paper="https://arxiv.org/abs/1902.09630")
class GIoULoss(nn.Module):
    """1 - IoU plus the share of the enclosing box that neither covers; torchvision's.  (N, 4), (N, 4) -> (N,)"""

    def forward(self, boxes: Tensor, targets: Tensor) -> Tensor:
        return generalized_box_iou_loss(boxes, targets)


@register("box_loss", "diou", paper="https://arxiv.org/abs/1911.08287")
class DIoULoss(nn.Module):
    """1 - IoU plus the squared distance of the centres over the enclosing box's squared diagonal; torchvision's.

    (N, 4), (N, 4) -> (N,)
    """

    def forward(self, boxes: Tensor, targets: Tensor) -> Tensor:
        return distance_box_iou_loss(boxes, targets)


@register("box_loss", "ciou", paper="https://arxiv.org/abs/1911.08287")
class CIoULoss(nn.Module):
    """DIoU plus a term for unequal aspect ratios; torchvision's.  (N, 4), (N, 4) -> (N,)"""

    def forward(self, boxes: Tensor, targets: Tensor) -> Tensor:
        return complete_box_iou_loss(boxes, targets)
