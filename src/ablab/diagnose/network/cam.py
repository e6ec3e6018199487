"""Where in an image a score comes from: Grad-CAM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ablab.errors import ConfigError, UnknownName
from ablab.measure.forward import still
from ablab.measure.seeding import forked


def class_activation(model: nn.Module, image: Tensor, at: str, score: Callable[[Any], Tensor]) -> np.ndarray:
    """relu(sum_k a_k A_k) of the map A at module `at`, a_k the mean over places of d score / d A_k.

    `image` is (1, C, H, W); `score` makes a scalar of the model's output, such as one class of one box before the
    sigmoid. -> (h, w), the largest 1; all 0 where nothing speaks for it. Selvaraju et al. 2017,
    https://arxiv.org/abs/1610.02391, equations 1 and 2.

    Raises UnknownName for a module that is not there, ConfigError where it gives no map, or the score no gradient.
    """
    modules = dict(model.named_modules())
    if at not in modules:
        raise UnknownName("module", at, modules, type(model).__name__)
    kept: list[Tensor] = []

    def keep(module: nn.Module, args: Any, output: Any) -> Tensor | None:
        if not isinstance(output, Tensor) or output.dim() != 4:
            return None
        kept.append(output if output.requires_grad else output.detach().requires_grad_())
        return kept[-1].clone()  # what follows may write in place

    handle = modules[at].register_forward_hook(keep)
    try:
        with still(model), torch.enable_grad(), forked("class activation"):
            value = score(model(image.detach()))
            if not kept:
                raise ConfigError(f"{at} gives no map (1, C, h, w); name a module that gives one")
            if value.dim() or not value.requires_grad:
                raise ConfigError(f"the score must be one number with a gradient, got the shape {tuple(value.shape)}")
            (gradient,) = torch.autograd.grad(value, kept[-1], allow_unused=True)
    finally:
        handle.remove()
    if gradient is None:
        raise ConfigError(f"the score does not depend on {at}; name a module on its way")
    weight = gradient.mean((2, 3), keepdim=True)
    heat = (weight * kept[-1].detach()).sum(1)[0].clamp(min=0).double().cpu().numpy()
    return heat / heat.max() if heat.max() > 0 else heat
