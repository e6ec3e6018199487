"""Adam and its kin: a mean of gradients over the root of a mean of their squares."""

from __future__ import annotations

from typing import Any

from torch.optim import Adam, AdamW, NAdam

from ablab.registry import register


@register("optimizer", "adam", paper="https://arxiv.org/abs/1412.6980")
def adam(
    params: list[dict[str, Any]],
    lr: float,
    weight_decay: float,
    momentum: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    amsgrad: bool = False,
) -> Adam:
    """m, v = running means of g, g^2, each over 1 - beta^t;  w -= lr m / (sqrt(v) + eps);  g holds weight_decay w.

    Kingma and Ba 2015, algorithm 1; `momentum` is beta1. Weight decay is divided by sqrt(v) as the rest of g is: what
    has large gradients hardly decays (Loshchilov and Hutter 2019); adamw mends that. Adam may fail to converge even on
    a convex problem (Reddi et al. 2018, theorem 1); `amsgrad`, their answer, never lets v fall.
    """
    return Adam(params, lr, (momentum, beta2), eps, weight_decay, amsgrad, fused=True)


@register("optimizer", "adamw", paper="https://arxiv.org/abs/1711.05101")
def adamw(
    params: list[dict[str, Any]],
    lr: float,
    weight_decay: float,
    momentum: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    amsgrad: bool = False,
) -> AdamW:
    """w -= lr weight_decay w;  then as Adam without decay.

    Loshchilov and Hutter 2019, algorithm 2; `momentum` is beta1. In torch lr multiplies the decay, so the two are not
    tuned apart, as they are in the paper: half the rate is half the decay.
    """
    return AdamW(params, lr, (momentum, beta2), eps, weight_decay, amsgrad, fused=True)


@register("optimizer", "nadam", paper="https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ")
def nadam(
    params: list[dict[str, Any]],
    lr: float,
    weight_decay: float,
    momentum: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    momentum_decay: float = 0.004,
    decoupled: bool = False,
) -> NAdam:
    """Adam with Nesterov's momentum, which rises: mu_t = momentum (1 - 0.96^(t momentum_decay) / 2).

    Dozat 2016, algorithm 2, where 0.96 stands too. It begins at half of `momentum` and, at the default, is within 1% of
    it only after 24,000 steps; a larger `momentum_decay` gets there sooner. `decoupled` decays as adamw does.
    """
    return NAdam(params, lr, (momentum, beta2), eps, weight_decay, momentum_decay, decoupled)
