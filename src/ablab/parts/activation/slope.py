"""What a PReLU takes over from what stood in its place."""

from __future__ import annotations

import torch
from torch import nn

from ablab.errors import ConfigError


def carry_slope(old: nn.Module, new: nn.PReLU) -> None:
    """Let the PReLU begin as the function that it replaces: exact.

    A ReLU's slope is 0, a LeakyReLU's its own, a PReLU's one for all channels or one each. Raises ConfigError for any
    other module.
    """
    if isinstance(old, nn.ReLU):
        slope = torch.zeros(1)
    elif isinstance(old, nn.LeakyReLU):
        slope = torch.full((1,), old.negative_slope)
    elif isinstance(old, nn.PReLU):
        slope = old.weight
    else:
        raise ConfigError(f"prelu can begin as a ReLU, LeakyReLU or PReLU, not as a {type(old).__name__}; replace it")
    with torch.no_grad():
        new.weight.copy_(slope)
