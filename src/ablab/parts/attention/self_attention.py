"""Self-attention over places."""

from __future__ import annotations

from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.registry import register


@register("attention", "self", paper="https://arxiv.org/abs/1706.03762")
class SelfAttention(nn.Module):
    """x + MHA(x), where every place asks every place.  (B, C, H, W) -> (B, C, H, W)

    Vaswani et al. 2017, section 3.2.2, by nn.MultiheadAttention. `heads` must divide the channels. It knows no
    positions: two places that change seats change nothing but seats. Time grows with the square of H * W. The softmax
    cancels the keys' third of the input bias.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        if heads < 1 or channels % heads:
            fitting = [n for n in range(1, channels + 1) if channels % n == 0]
            near = min(fitting, key=lambda n: abs(n - heads))
            raise ConfigError(f"heads must divide the {channels} channels, got {heads}; the nearest is {near}")
        self.attend = nn.MultiheadAttention(channels, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        places = x.flatten(2).transpose(1, 2)  # (B, H * W, C)
        seen, _ = self.attend(places, places, places, need_weights=False)
        return x + seen.transpose(1, 2).reshape(x.shape)
