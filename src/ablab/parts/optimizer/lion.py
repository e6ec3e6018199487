"""Lion: the sign of a mean of gradients."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from ablab.registry import register


@register("optimizer", "lion", paper="https://arxiv.org/abs/2302.06675")
def lion(
    params: list[dict[str, Any]],
    lr: float,
    weight_decay: float,
    momentum: float = 0.9,
    beta2: float = 0.99,
    caution: bool = False,
) -> Optimizer:
    """w -= lr (sign(momentum m + (1 - momentum) g) + weight_decay w);  m = beta2 m + (1 - beta2) g.

    Chen et al. 2023, algorithm 2, by timm; `momentum` is beta1. Every weight moves by lr, however small its gradient:
    the paper (section 5) takes a rate 3 to 10 times smaller than AdamW's, and a decay as many times larger. `caution`
    moves only where the sign agrees with g's (Liang et al. 2024).
    """
    from timm.optim.lion import Lion  # timm takes a second to import

    return Lion(params, lr, (momentum, beta2), weight_decay, caution)
