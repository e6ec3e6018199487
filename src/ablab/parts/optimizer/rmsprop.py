"""RMSprop: the gradient over its recent size."""

from __future__ import annotations

from typing import Any

from torch.optim import RMSprop

from ablab.registry import register


@register("optimizer", "rmsprop", paper="https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf")
def rmsprop(
    params: list[dict[str, Any]],
    lr: float,
    weight_decay: float,
    momentum: float = 0.0,
    alpha: float = 0.99,
    eps: float = 1e-8,
    centered: bool = False,
) -> RMSprop:
    """v = alpha v + (1 - alpha) g^2;  w -= lr g / (sqrt(v) + eps), through `momentum` where there is any.

    Tieleman and Hinton 2012, slide 29; `centered` subtracts the squared mean gradient from v (Graves 2013, equations
    38 to 40); g holds weight_decay w. v begins at 0 and nothing corrects that: the first step is 1 / sqrt(1 - alpha)
    = 10 times lr. TensorFlow has eps inside the root.
    """
    return RMSprop(params, lr, alpha, eps, weight_decay, momentum, centered)
