"""Weights that go from a plain convolution into a part that takes its place (`op: convert`)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.parts.conv.site import Site, site_of


def weights(old: nn.Module, place: Site) -> tuple[Tensor, Tensor | None]:
    """The weight (out, in / groups, kh, kw) and bias (out) of the plain convolution that stood at `place`.

    Raises ConfigError where `old` is no plain nn.Conv2d with zero padding, or stands at another site.
    """
    if not isinstance(old, nn.Conv2d) or type(old).forward is not nn.Conv2d.forward:
        raise ConfigError(f"weights are carried over from a plain nn.Conv2d, not from {type(old).__name__}")
    if old.padding_mode != "zeros":
        raise ConfigError(
            f"the convolution pads with '{old.padding_mode}', the new part with zeros; replace it instead"
        )
    if site_of(old) != place:
        raise ConfigError(
            f"the convolution that stood here does other work than the new part: {site_of(old)} against {place}; "
            f"leave its sizes as they are, or replace it instead"
        )
    return old.weight.detach(), None if old.bias is None else old.bias.detach()


def put_bias(bias: Tensor | None, conv: nn.Conv2d) -> None:
    """Copy a bias, or zeros where there was none; raises ConfigError where it has no place to go to."""
    with torch.no_grad():
        if conv.bias is not None:
            conv.bias.copy_(torch.zeros_like(conv.bias) if bias is None else bias)
        elif bias is not None:
            raise ConfigError("the convolution has a bias, and the new part none; leave 'bias' as it is")
