"""Non-maximum suppression where torchvision has none: by distance as well, or of scores instead of boxes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ablab.tasks.detection.losses.box import gaps_between, paired_iou
from ablab.tasks.detection.recipe import PostprocessRecipe

Share = Callable[[Tensor, Tensor], Tensor]  # a box (1, 4) and those that score less (n, 4) -> what they keep (n,)


def share_kept(settings: PostprocessRecipe) -> Share:
    """The share of its score that a box keeps beside a better one of its class."""

    def diou(best: Tensor, boxes: Tensor) -> Tensor:  # Zheng et al. 2020, https://arxiv.org/abs/1911.08287
        gaps, around = gaps_between(boxes, best)
        diagonal = around.square().sum(dim=1)
        distance = gaps.square().sum(dim=1) / diagonal.clamp(min=torch.finfo(diagonal.dtype).tiny)
        return (paired_iou(best, boxes) - distance <= settings.iou).float()

    def gaussian(best: Tensor, boxes: Tensor) -> Tensor:  # Bodla et al. 2017, https://arxiv.org/abs/1704.04503, eq. 3
        return (-paired_iou(best, boxes).square() / settings.sigma).exp()

    def linear(best: Tensor, boxes: Tensor) -> Tensor:  # the same, eq. 2
        overlap = paired_iou(best, boxes)
        return 1 - overlap * (overlap > settings.iou)

    return {"diou": diou, "soft": gaussian, "soft-linear": linear}[settings.nms]


def suppress(boxes: Tensor, scores: Tensor, labels: Tensor, settings: PostprocessRecipe) -> tuple[Tensor, Tensor]:
    """Take the best box again and again; each time the others of its class keep `share_kept` of their scores.

    It ends with `settings.most`, or where no score is above `settings.confidence`. The class is what `labels` says: one
    for all where suppression is class-agnostic.
    boxes (n, 4), scores (n,) falling, labels (n,) -> indices (k,) and scores (k,), falling
    """
    count = 4 * settings.most
    while True:
        index, kept = _take(boxes[:count], scores[:count], labels[:count], settings)
        # Scores only fall, so what was left out is not among the best as long as it began below all that were taken.
        if count >= len(boxes) or (len(kept) == settings.most and kept[-1] >= scores[count]):
            return index, kept
        count *= 4


def _take(boxes: Tensor, scores: Tensor, labels: Tensor, settings: PostprocessRecipe) -> tuple[Tensor, Tensor]:
    share, left = share_kept(settings), scores.clone()
    index, kept = [labels[:0]], [scores[:0]]
    while len(index) <= settings.most and len(left):
        score, best = left.max(dim=0, keepdim=True)  # (1,), (1,)
        if score <= settings.confidence:
            break
        index.append(best)
        kept.append(score)
        left = torch.where(labels == labels[best], left * share(boxes[best], boxes), left)
        left[best] = 0
    return torch.cat(index), torch.cat(kept)
