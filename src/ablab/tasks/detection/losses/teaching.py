"""What a detector lacks to say what its teacher says, at every place of the grid.

Background is most of an image, so a place counts as much as the teacher sees there: its objectness, or its best class's
score (Mehta & Ozturk 2018, https://arxiv.org/abs/1805.06361, section 3.2). All sums are divided by these weights' sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import generalized_box_iou_loss

from ablab.tasks.detection.grid import Grid, along
from ablab.tasks.detection.heads.anchor import decode_anchors
from ablab.tasks.detection.losses.divisor import divisor


def yes_no_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL between what two logits say of yes and no, each divided by T.  (...), (...) -> (...)

    Hinton et al. 2015, https://arxiv.org/abs/1503.02531, section 2: T^2 since gradients shrink with it.
    """
    softened = (teacher / temperature).sigmoid()
    cross, entropy = (
        functional.binary_cross_entropy_with_logits(logits / temperature, softened, reduction="none")
        for logits in (student, teacher)
    )
    return temperature**2 * (cross - entropy)


def divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL between the softmax of two rows of logits, each divided by T.  (..., K), (..., K) -> (...)"""
    mine, theirs = ((logits / temperature).log_softmax(dim=-1) for logits in (student, teacher))
    return temperature**2 * functional.kl_div(mine, theirs, reduction="none", log_target=True).sum(dim=-1)


def anchor_gaps(
    student: Sequence[Tensor], teacher: Sequence[Tensor], temperature: float, anchors: Tensor, strides: Sequence[int]
) -> dict[str, Tensor]:
    """`logits` (objectness everywhere, classes where the teacher sees something) and `boxes` (1 - GIoU).

    Raw maps (B, A * (5 + C), H_l, W_l) a level.
    """
    sizes = tuple((y.shape[2], y.shape[3]) for y in student)
    grid = Grid(tuple(strides), sizes, student[0].device, anchors.to(student[0].device))
    mine, theirs = along(student, grid.each), along(teacher, grid.each)  # (B, N, 5 + C)
    weight = theirs[..., 4].sigmoid()  # (B, N)
    total = divisor(weight.sum(), len(weight))
    objectness = yes_no_divergence(mine[..., 4], theirs[..., 4], temperature)
    classes = yes_no_divergence(mine[..., 5:], theirs[..., 5:], temperature).sum(dim=-1) * weight
    if theirs.shape[-1] == 6:  # nothing trained the teacher's only class: see `decode_anchors`
        classes = torch.zeros_like(classes)
    boxes = [decode_anchors(raw, grid)[0].flatten(0, 1) for raw in (mine, theirs)]
    apart = generalized_box_iou_loss(boxes[0], boxes[1], reduction="none").view_as(weight)
    return {"logits": (objectness + classes).sum() / total, "boxes": (apart * weight).sum() / total}


def anchor_free_gaps(
    student: Sequence[Tensor], teacher: Sequence[Tensor], temperature: float, bins: int
) -> dict[str, Tensor]:
    """`logits` of the classes, and `boxes`: the distributions of the four sides, the mean over sides.

    Raw maps (B, 4 * bins + C, H_l, W_l) a level. Sides as localization distillation has them: Zheng et al. 2022,
    https://arxiv.org/abs/2102.12252, equation 3.
    """
    mine, theirs = along(student), along(teacher)  # (B, N, 4 * bins + C)
    weight = theirs[..., 4 * bins :].amax(dim=-1).sigmoid()  # (B, N)
    total = divisor(weight.sum(), len(weight))
    classes = yes_no_divergence(mine[..., 4 * bins :], theirs[..., 4 * bins :], temperature)
    mine, theirs = (y[..., : 4 * bins].reshape(*weight.shape, 4, bins) for y in (mine, theirs))
    sides = divergence(mine, theirs, temperature).mean(dim=-1)  # (B, N)
    return {"logits": classes.sum() / total, "boxes": (sides * weight).sum() / total}
