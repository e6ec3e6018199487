"""As many parameters as another part, and none of its mechanism."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ablab import registry
from ablab.errors import ConfigError
from ablab.registry import register


@register("attention", "placebo", alternatives={"like": ["cbam", "se"], "args": [{"reduction": 4}]})
class Placebo(nn.Module):
    """x * (1 + s), where s is a number a channel that never sees x.  (B, C, H, W) -> (B, C, H, W)

    It has as many parameters as the part `like`, built with `args`. They are dealt out to the channels, and s is each
    channel's mean of its share. All start at 0, so that the output is exactly x, and all get a gradient. A convolution
    beside it could absorb s: the placebo adds parameters to train and nothing that a network could not do before. For
    a part without parameters it is the identity.
    """

    def __init__(self, channels: int, like: str, args: dict[str, Any] | None = None) -> None:
        """Raises ConfigError for a part that wants to know more of its site than channels."""
        super().__init__()
        self.channels = channels
        count = _count(channels, like, args or {})
        self.weight = nn.Parameter(torch.zeros(count)) if count else None

    def forward(self, x: Tensor) -> Tensor:
        if self.weight is None:
            return x
        shares = F.pad(self.weight, (0, -len(self.weight) % self.channels)).view(-1, self.channels)
        return x * (1 + shares.mean(dim=0)).view(-1, 1, 1)


def _count(channels: int, like: str, args: dict[str, Any]) -> int:
    entry = registry.get(like)
    unknown = sorted(set(entry.host.values()) - {"channels"} - set(args))
    if unknown:
        raise ConfigError(f"placebo: {like} wants to know {', '.join(unknown)} of its site; name a part of maps")
    facts = {name: channels for name, fact in entry.host.items() if fact == "channels"}
    part = registry.make(like, None, **(facts | args))
    return sum(p.numel() for p in part.parameters())
