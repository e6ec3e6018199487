"""A shortcut around a module."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.registry import register


@register("wrapper", "residual", paper="https://arxiv.org/abs/1512.03385", alternatives={"fuse": ["concat"]})
class Residual(nn.Module):
    """x + f(x), or a 1x1 convolution of both side by side.  (B, C, H, W) -> (B, C, H, W)

    `fuse`: `add` (He et al. 2015, equation 1) or `concat`: C = conv([x, f(x)]) with 2 C * C weights and no bias, which
    can learn the sum and does not start at it. f must keep the shape of x.
    """

    def __init__(self, inner: nn.Module, channels: int, fuse: Literal["add", "concat"] = "add") -> None:
        super().__init__()
        if fuse not in ("add", "concat"):
            raise ConfigError(f"fuse must be 'add' or 'concat', got '{fuse}'")
        self.inner = inner
        self.merge = nn.Conv2d(2 * channels, channels, 1, bias=False) if fuse == "concat" else None

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        y = self.inner(x.clone(), *args, **kwargs)  # which may write in place
        return x + y if self.merge is None else self.merge(torch.cat((x, y), dim=1))
