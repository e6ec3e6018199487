"""How a weighted map meets the map that it came from."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from ablab.errors import UnknownName

Fuse = Literal["multiply", "add"]
WAYS = ("multiply", "add")


def way(fuse: str) -> str:
    """The word itself, where it is `multiply` or `add`. Raises UnknownName."""
    if fuse not in WAYS:
        raise UnknownName("way to fuse", fuse, WAYS)
    return fuse


def fused(x: Tensor, weighed: Tensor, fuse: str) -> Tensor:
    """multiply: weighed = x * a(x).  add: x + weighed = x * (1 + a(x)).  (B, C, H, W), (B, C, H, W) -> (B, C, H, W)

    Multiplying can only dim a map, for a gate lies in 0..1; adding can only brighten it, to twice at most, and keeps
    the way of the gradient open (residual attention: Wang et al. 2017, equation 3; Park et al. 2018, BAM, equation 1).
    """
    return x + weighed if fuse == "add" else weighed
