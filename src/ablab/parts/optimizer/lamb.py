"""LAMB: Adam with a step in proportion to the layer's weights."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from ablab.registry import register


@register("optimizer", "lamb", paper="https://arxiv.org/abs/1904.00962")
def lamb(
    params: list[dict[str, Any]],
    lr: float,
    weight_decay: float,
    momentum: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-6,
    max_grad_norm: float | None = 1.0,
    trust_clip: bool = False,
    always_adapt: bool = False,
) -> Optimizer:
    """u = Adam's m / (sqrt(v) + eps) + weight_decay w;  w -= lr |w| / |u| u, the norms over each tensor.

    You et al. 2020, algorithm 2, by timm; `momentum` is beta1. What has no decay moves as by Adam unless
    `always_adapt`; `trust_clip` bounds |w| / |u| by 1. All gradients are first cut to a joint norm of `max_grad_norm`,
    beside what the loop clips. Steps are counted for a whole group: what is let go late is not corrected for its
    beginning at 0.
    """
    from timm.optim.lamb import Lamb  # timm takes a second to import

    return Lamb(
        params,
        lr,
        betas=(momentum, beta2),
        eps=eps,
        weight_decay=weight_decay,
        max_grad_norm=max_grad_norm,
        trust_clip=trust_clip,
        always_adapt=always_adapt,
    )
