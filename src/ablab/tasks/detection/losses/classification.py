"""The slot `class_loss`: logits (*) and targets (*) in 0..1 -> losses (*). The criterion reduces them.

Objectness uses the same slot: there the target is an IoU.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from ablab.errors import ConfigError
from ablab.registry import register


@register("class_loss", "bce")
class BCELoss(nn.Module):
    """Binary cross-entropy.  (*), (*) -> (*)"""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(logits, targets, reduction="none")


@register("class_loss", "focal", paper="https://arxiv.org/abs/1708.02002")
class FocalLoss(nn.Module):
    """Binary cross-entropy times (1 - p_t)^gamma, which hushes what is already right (equation 4).  (*), (*) -> (*)

    `alpha` weighs positives by alpha and negatives by 1 - alpha (equation 5); None weighs them alike. torchvision's
    default is 0.25.
    """

    def __init__(self, gamma: float = 2.0, alpha: float | None = None) -> None:
        super().__init__()
        if gamma < 0:
            raise ConfigError(f"class_loss/focal: gamma must not be negative, got {gamma}")
        if alpha is not None and not 0 <= alpha <= 1:
            raise ConfigError(f"class_loss/focal: alpha must be None or in [0, 1], got {alpha}")
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        loss = binary_cross_entropy_with_logits(logits, targets, reduction="none")
        # 1 - p_t written without a difference of near-equal numbers, and held off 0, where the slope of a power
        # below 1 is infinite.
        miss = (-logits).sigmoid() * targets + logits.sigmoid() * (1 - targets)
        loss = loss * miss.clamp(min=torch.finfo(miss.dtype).tiny) ** self.gamma
        if self.alpha is None:
            return loss
        return loss * (self.alpha * targets + (1 - self.alpha) * (1 - targets))


def targets_of(labels: Tensor, classes: int, smoothing: float, scores: Tensor | None = None) -> Tensor:
    """What the classes should say: the label's own `scores` (1 where none are given), the others 0; smoothed.

    `smoothing` s takes targets t to t * (1 - s) + s / 2 (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567,
    section 7, with two classes).  (K,), (K,) -> (K, classes)
    """
    targets = one_hot(labels, classes).float()
    if scores is not None:
        targets = targets * scores[:, None]
    return targets * (1 - smoothing) + smoothing / 2
