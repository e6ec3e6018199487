"""Adagrad: a rate for each weight, by all its gradients so far."""

from __future__ import annotations

from typing import Any

from torch.optim import Adagrad

from ablab.registry import register


@register("optimizer", "adagrad", paper="https://jmlr.org/papers/v12/duchi11a.html")
def adagrad(
    params: list[dict[str, Any]],
    lr: float,
    weight_decay: float,
    lr_decay: float = 0.0,
    initial: float = 0.0,
    eps: float = 1e-10,
) -> Adagrad:
    """s += g^2;  w -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps);  s begins at `initial`; g holds weight_decay w.

    Duchi et al. 2011, figure 1, on the diagonal. s only grows, so under equal gradients the rate falls as 1 / sqrt(t)
    by itself: a schedule that falls too counts twice.
    """
    return Adagrad(params, lr, lr_decay, weight_decay, initial, eps, fused=True)
