"""The slot `box_loss`: (N, 4), (N, 4) x1 y1 x2 y2 -> (N,), in float32 or better; 0 where the boxes are equal.

The boxes must have positive width and height. No reduction happens here, so that N = 0 stays in the graph.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss
from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss

from ablab.errors import ConfigError
from ablab.registry import register


def paired_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of each box with its partner.  (N, 4), (N, 4) -> (N,)

    torchvision's `box_iou` gives all pairs, N * N of them, where only the diagonal is wanted.
    """
    boxes, others = _exact(boxes), _exact(others)
    low = torch.maximum(boxes[:, :2], others[:, :2])
    high = torch.minimum(boxes[:, 2:], others[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=1)
    union = _sides(boxes).prod(dim=1) + _sides(others).prod(dim=1) - shared
    return shared / union.clamp(min=torch.finfo(union.dtype).tiny)


def _exact(boxes: Tensor) -> Tensor:
    return boxes if boxes.dtype == torch.float64 else boxes.float()


def _sides(boxes: Tensor) -> Tensor:
    """(N, 4) -> (N, 2) width and height"""
    return boxes[:, 2:] - boxes[:, :2]


def gaps_between(boxes: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """From the targets' centres to the boxes', and the sides of the boxes around both.  (N, 4) twice -> (N, 2) twice"""
    centres = (boxes - targets).view(-1, 2, 2).mean(dim=1)
    low, high = torch.minimum(boxes[:, :2], targets[:, :2]), torch.maximum(boxes[:, 2:], targets[:, 2:])
    return centres, high - low


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
    """DIoU plus a term for unequal aspect ratios; torchvision's.  (N, 4), (N, 4) -> (N,)

    The term is 0 where the ratios agree, however much the sizes differ, and its weight gets no gradient.
    """

    def forward(self, boxes: Tensor, targets: Tensor) -> Tensor:
        return complete_box_iou_loss(boxes, targets)


@register("box_loss", "eiou", paper="https://arxiv.org/abs/2101.08158")
class EIoULoss(nn.Module):
    """DIoU plus the squared differences of width and of height, each over that of the box around both.

    1 - IoU + d^2 / (W^2 + H^2) + (w - w')^2 / W^2 + (h - h')^2 / H^2 (Zhang et al. 2022). It tells
    sizes apart where CIoU's aspect ratios agree.  (N, 4), (N, 4) -> (N,)
    """

    def forward(self, boxes: Tensor, targets: Tensor) -> Tensor:
        boxes, targets = _exact(boxes), _exact(targets)
        centres, around = gaps_between(boxes, targets)
        far = centres.square().sum(dim=1) / around.square().sum(dim=1)
        unlike = ((_sides(boxes) - _sides(targets)) / around).square().sum(dim=1)
        return 1 - paired_iou(boxes, targets) + far + unlike


@register("box_loss", "siou", paper="https://arxiv.org/abs/2205.12740")
class SIoULoss(nn.Module):
    """1 - IoU + (distance + shape) / 2 (Gevorgyan 2022).  (N, 4), (N, 4) -> (N,)

    distance  sum over x, y of 1 - exp(-(2 - angle) * (gap / side around both)^2), angle = 2 |dx dy| / (dx^2 + dy^2)
    shape     sum over w, h of (1 - exp(-|w - w'| / max(w, w')))^theta, theta of 2 to 6

    The paper says that the distance costs the more the nearer the angle is to 45 degrees. By its formula it is the
    other way round: at equal gaps it costs most where the centres are level.
    """

    def __init__(self, theta: float = 4.0) -> None:
        super().__init__()
        if theta < 1:
            raise ConfigError(f"box_loss/siou: theta must be 1 or more, got {theta}: below, equal sides have no slope")
        self.theta = theta

    def forward(self, boxes: Tensor, targets: Tensor) -> Tensor:
        boxes, targets = _exact(boxes), _exact(targets)
        gaps, around = gaps_between(boxes, targets)
        # The paper's 1 - 2 sin^2(arcsin(s) - 45 degrees) is sin(2 arcsin(s)), which needs no arcsin.
        angle = 2 * gaps.prod(dim=1).abs() / gaps.square().sum(dim=1).clamp(min=1e-7)
        distance = -torch.expm1((angle - 2)[:, None] * (gaps / around).square()).sum(dim=1)
        here, there = _sides(boxes), _sides(targets)
        unlike = -torch.expm1(-(here - there).abs() / torch.maximum(here, there))
        return 1 - paired_iou(boxes, targets) + (distance + (unlike**self.theta).sum(dim=1)) / 2


@register("box_loss", "wiou", paper="https://arxiv.org/abs/2301.10051")
class WIoULoss(nn.Module):
    """(1 - IoU) * exp(d^2 / (W^2 + H^2)), version 1: W and H of the box around both get no gradient (Tong 2023).

    Versions 2 and 3 weigh each box by a running mean of the loss: a state that would tie a batch to those before it.
    (N, 4), (N, 4) -> (N,)
    """

    def forward(self, boxes: Tensor, targets: Tensor) -> Tensor:
        boxes, targets = _exact(boxes), _exact(targets)
        centres, around = gaps_between(boxes, targets)
        far = centres.square().sum(dim=1) / around.detach().square().sum(dim=1)
        return (1 - paired_iou(boxes, targets)) * far.exp()


@register("box_loss", "smooth-l1", paper="https://arxiv.org/abs/1504.08083")
class SmoothL1Loss(nn.Module):
    """Smooth L1 of the four edges' errors, in shares of the target's width or height (1 pixel at least), summed.

    x^2 / (2 beta) below beta, |x| - beta / 2 beyond (Girshick 2015, equation 3; beta 1/9 as in torchvision's Faster
    R-CNN). Shares and not pixels: an error counts by the object's size, as in an IoU, and for small errors and beta 0
    the sum is 1 - IoU to first order, so that the gain may stay. Each edge counts alone, and far boxes without bound.
    (N, 4), (N, 4) -> (N,)
    """

    def __init__(self, beta: float = 1 / 9) -> None:
        super().__init__()
        if beta < 0:
            raise ConfigError(f"box_loss/smooth-l1: beta must not be negative, got {beta}")
        self.beta = beta

    def forward(self, boxes: Tensor, targets: Tensor) -> Tensor:
        boxes, targets = _exact(boxes), _exact(targets)
        errors = (boxes - targets) / _sides(targets).clamp(min=1).repeat(1, 2)
        return smooth_l1_loss(errors, torch.zeros_like(errors), reduction="none", beta=self.beta).sum(dim=1)
