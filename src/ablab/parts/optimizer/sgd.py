"""Stochastic gradient descent, with momentum and Nesterov's."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim import SGD

from ablab.registry import register


@register("optimizer", "sgd", paper="https://proceedings.mlr.press/v28/sutskever13.html")
def sgd(
    params: list[dict[str, Any]], lr: float, weight_decay: float, momentum: float = 0.9, nesterov: bool = True
) -> SGD:
    """v = momentum v + g;  w -= lr (g + momentum v), or w -= lr v without `nesterov`;  g holds weight_decay w.

    torch's form: the rate stands outside of v, unlike in Sutskever et al. 2013, equations 1 to 4, so a falling rate
    slows what v has gathered too. In the long run a constant gradient moves w by lr / (1 - momentum) of it a step.
    """
    made = SGD(params, lr, momentum, 0.0, weight_decay, nesterov and momentum > 0, fused=True)
    if momentum > 0:
        # torch begins with the first gradient, which is what zero gives; but its fused kernel refuses a group in which
        # some parameters have begun and others, frozen until now, have not, and begins with uninitialised memory where
        # the first step of fp16 is skipped.
        for parameter in (p for group in made.param_groups for p in group["params"]):
            made.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return made
