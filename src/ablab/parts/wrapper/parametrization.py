"""Weights that are written as something else, by torch's parametrizations."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrizations

from ablab.errors import ConfigError
from ablab.registry import register


@register("wrapper", "weight-norm", paper="https://arxiv.org/abs/1602.07868")
class WeightNorm(nn.Module):
    """The weight as length times direction, g * v / ||v||, both learnt.  (*) -> as inner

    Salimans & Kingma 2016, equation 2; `dim` is the axis that keeps a length each, 0 the outputs. The function stays as
    it was. In front of a batch norm it changes nothing but the rate of learning, as the norm takes any length out.
    """

    def __init__(self, inner: nn.Module, dim: int = 0) -> None:
        super().__init__()
        self.inner = parametrizations.weight_norm(_weighted(inner, "weight-norm"), dim=dim)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.inner(*args, **kwargs)


@register("wrapper", "spectral-norm", paper="https://arxiv.org/abs/1802.05957")
class SpectralNorm(nn.Module):
    """The weight divided by its largest singular value, as (out, in * kh * kw).  (*) -> as inner

    Miyato et al. 2018, section 2.1: made for discriminators. The value is tracked by `n_power_iterations` steps a
    training forward. The function changes at once: the layer's gain becomes 1. The largest singular value of the
    reshaped weight is not that of the convolution, which is larger by up to the root of the kernel's size (Tsuzuku et
    al. 2018, https://arxiv.org/abs/1802.04034, corollary 1).
    """

    def __init__(self, inner: nn.Module, n_power_iterations: int = 1) -> None:
        super().__init__()
        self.inner = parametrizations.spectral_norm(
            _weighted(inner, "spectral-norm"), n_power_iterations=n_power_iterations
        )

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.inner(*args, **kwargs)


def _weighted(inner: nn.Module, name: str) -> nn.Module:
    weight = inner._parameters.get("weight")
    if weight is None or weight.dim() < 2:
        raise ConfigError(
            f"{name} wants a module with a weight of two or more dimensions of its own, got {type(inner).__name__}; "
            f"name convolutions or linear layers"
        )
    return inner
