"""What a sum over objects is divided by, alone and where several processes share a batch."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def divisor(count: Tensor, images: int) -> Tensor:
    """The count of objects, or of their scores, of which a loss is the mean; at least 1.  (...) -> (...)

    Among several processes it is this one's part of the whole batch's count, in the ratio of its `images`: the mean
    over processes, weighted by images, is then the loss of the whole batch. Every process must call it for the same
    step. As `reduce_mean` in MMDetection, and exact for uneven shares too; only where a batch has too few images for
    all processes, some of which then repeat others', the repeated ones count twice.
    """
    if not (torch.is_grad_enabled() and dist.is_available() and dist.is_initialized()):
        return count.clamp(min=1)
    everywhere = torch.cat([count.detach().flatten().double(), count.new_tensor([images], dtype=torch.float64)])
    dist.all_reduce(everywhere)
    counts, total = everywhere[:-1].view_as(count), everywhere[-1]
    return (counts.clamp(min=1) * images / total).to(count.dtype)
