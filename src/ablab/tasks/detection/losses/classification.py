"""The slot `class_loss`: logits (*) and targets (*) in 0..1 -> losses (*). The criterion reduces them.

Objectness uses the same slot: there the target is an IoU. A part with the trait `over_classes` sets the classes of a
place against one another, so it wants places that hold an object: it is refused for objectness, and by a head whose
classes tell of background too.
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


@register("class_loss", "ce", over_classes=True)
class CrossEntropyLoss(nn.Module):
    """Softmax cross-entropy, -t * log softmax(logits) over the last axis: its sum over classes is torch's.

    (*, C), (*, C) -> (*, C)

    Between classes only: a number added to all logits of a place changes nothing. A head's scores stay sigmoids, which
    rank the classes of a place as the softmax does, but are not its probabilities. `smoothing` s takes targets t to
    t * (1 - s) + s / C (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567, section 7).
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= smoothing < 1:
            raise ConfigError(f"class_loss/ce: smoothing must be in [0, 1), got {smoothing}")
        self.smoothing = smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        targets = targets + self.smoothing * (targets.mean(dim=-1, keepdim=True) - targets)
        return -targets * logits.log_softmax(dim=-1)


@register("class_loss", "mse")
class MSELoss(nn.Module):
    """(p - t)^2, the Brier score, as YOLOv1 to v3 had it; why not: its slope 2 (p - t) p (1 - p).  (*), (*) -> (*)

    It is smallest at p = t, as bce is, but barely pulls where it should most: at a logit of -10 for a target of 1 the
    slope is -9e-5, bce's -1. Nowhere is it steeper than 8/27.
    """

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return (logits.sigmoid() - targets).square()


@register("class_loss", "focal", paper="https://arxiv.org/abs/1708.02002")
class FocalLoss(nn.Module):
    """Binary cross-entropy times (1 - p_t)^gamma, which hushes what is already right (equation 4).  (*), (*) -> (*)

    `alpha` weighs positives by alpha and negatives by 1 - alpha (equation 5); None weighs them alike. torchvision's
    default is 0.25. Made for targets of 0 and 1: at a target of 0.8 it is smallest at p = 0.95 (gamma 2, no alpha).
    """

    def __init__(self, gamma: float = 2.0, alpha: float | None = None) -> None:
        super().__init__()
        _not_negative("focal", gamma=gamma)
        if alpha is not None and not 0 <= alpha <= 1:
            raise ConfigError(f"class_loss/focal: alpha must be None or in [0, 1], got {alpha}")
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        loss = binary_cross_entropy_with_logits(logits, targets, reduction="none")
        # 1 - p_t written without a difference of near-equal numbers.
        loss = loss * _power((-logits).sigmoid() * targets + logits.sigmoid() * (1 - targets), self.gamma)
        if self.alpha is None:
            return loss
        return loss * (self.alpha * targets + (1 - self.alpha) * (1 - targets))


@register("class_loss", "quality-focal", paper="https://arxiv.org/abs/2006.04388")
class QualityFocalLoss(nn.Module):
    """Binary cross-entropy times |p - t|^beta (equation 2): focal at targets 0 and 1.  (*), (*) -> (*)

    Unlike focal it is smallest at p = t for any target, so it fits one that says how good a box is.
    """

    def __init__(self, beta: float = 2.0) -> None:
        super().__init__()
        _not_negative("quality-focal", beta=beta)
        self.beta = beta

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        loss = binary_cross_entropy_with_logits(logits, targets, reduction="none")
        # p - t, written so that neither p near 1 nor p near 0 loses its digits.
        miss = logits.sigmoid() * (1 - targets) - (-logits).sigmoid() * targets
        return loss * _power(miss.abs(), self.beta)


@register("class_loss", "varifocal", paper="https://arxiv.org/abs/2008.13367")
class VarifocalLoss(nn.Module):
    """Binary cross-entropy times the target t where t > 0, and times alpha * p^gamma where t = 0 (equation 2).

    Positives count by how good they are, and only negatives are hushed. It jumps at t = 0: a smoothed target is a
    positive.  (*), (*) -> (*)
    """

    def __init__(self, alpha: float = 0.75, gamma: float = 2.0) -> None:
        super().__init__()
        _not_negative("varifocal", alpha=alpha, gamma=gamma)
        self.alpha, self.gamma = alpha, gamma

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        loss = binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return loss * torch.where(targets > 0, targets, self.alpha * _power(logits.sigmoid(), self.gamma))


def _power(share: Tensor, exponent: float) -> Tensor:
    """A share held off 0, where the slope of a power below 1 is infinite."""
    return share.clamp(min=torch.finfo(share.dtype).tiny) ** exponent


def _not_negative(name: str, **arguments: float) -> None:
    for argument, value in arguments.items():
        if value < 0:
            raise ConfigError(f"class_loss/{name}: {argument} must not be negative, got {value}")


def targets_of(labels: Tensor, classes: int, smoothing: float, scores: Tensor | None = None) -> Tensor:
    """What the classes should say: the label's own `scores` (1 where none are given), the others 0; smoothed.

    `smoothing` s takes targets t to t * (1 - s) + s / 2 (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567,
    section 7, with two classes).  (K,), (K,) -> (K, classes)
    """
    targets = one_hot(labels, classes).float()
    if scores is not None:
        targets = targets * scores[:, None]
    return targets * (1 - smoothing) + smoothing / 2
