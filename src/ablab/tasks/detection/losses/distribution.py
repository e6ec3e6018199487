"""The slot `distribution_loss`: logits (N, 4, bins) and distances (N, 4) -> losses (N,).

A distance is in cells; what lies outside 0 .. bins - 1 counts as the nearer end, since no distribution reaches it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ablab.registry import register


@register("distribution_loss", "dfl", paper="https://arxiv.org/abs/2006.04388")
class DistributionFocalLoss(nn.Module):
    """Cross-entropy with the two bins around the distance, each weighed by how near it is (equation 6).

    The mean over the four sides.  (N, 4, bins), (N, 4) -> (N,)
    """

    def forward(self, logits: Tensor, distances: Tensor) -> Tensor:
        last = logits.shape[-1] - 1
        distances = distances.clamp(0, last)
        low = distances.floor().clamp(max=last - 1)
        high_share = (distances - low).unsqueeze(-1)
        bins = low.long().unsqueeze(-1)
        chosen = logits.log_softmax(dim=-1).gather(-1, torch.cat((bins, bins + 1), dim=-1))  # (N, 4, 2)
        weights = torch.cat((1 - high_share, high_share), dim=-1)
        return -(chosen * weights).sum(dim=-1).mean(dim=-1)
