"""The network as it is shipped, pixels in and boxes out; and a shipped one in a network's place.

    uint8 (B, H, W, 3) --Deployed--> boxes (B, N, 4) in pixels of the input, scores (B, N, C) in 0..1

Scaling to 0..1 and the order of axes are inside: a quarter of the bytes go in, and nobody can forget them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ablab.errors import ConfigError

Outputs = tuple[np.ndarray, np.ndarray]  # boxes (B, N, 4) and scores (B, N, C), float32


class Runner(Protocol):
    """A model that runs: letterboxed RGB (B, H, W, 3) uint8 -> boxes (B, N, 4) in its pixels, scores (B, N, C)."""

    def __call__(self, images: np.ndarray) -> Outputs: ...


class Deployed(nn.Module):
    """A network with what stands before and behind it.  uint8 (B, H, W, 3) -> boxes (B, N, 4), scores (B, N, C)

    The network's submodule `head` must have `decode`: raw maps -> boxes in pixels and scores. Raises ConfigError where
    it has none.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        head = dict(network.named_children()).get("head")
        if not callable(getattr(head, "decode", None)):
            raise ConfigError(
                f"{type(network).__name__} cannot be shipped: expected a submodule 'head' with a method 'decode' that "
                f"turns raw maps into boxes and scores"
            )
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.decode(self.network(self.prepare(images)))

    def prepare(self, images: Tensor) -> Tensor:
        """(B, H, W, 3) uint8 -> (B, 3, H, W) in 0..1, in the network's float type; in memory still (B, H, W, 3)."""
        dtype = next((p.dtype for p in self.network.parameters() if p.is_floating_point()), torch.float32)
        return (images.to(torch.float32) / 255).to(dtype).permute(0, 3, 1, 2)

    def decode(self, raw: Any) -> tuple[Tensor, Tensor]:
        """The head's raw maps -> boxes (B, N, 4) and scores (B, N, C)."""
        head: Any = self.network.get_submodule("head")
        boxes, scores = head.decode(raw)
        return boxes, scores


class Standin(nn.Module):
    """A runner where a task expects its network, so that it is scored by the same code.

    (B, 3, H, W) in 0..1, which is what a task divided by 255 -> what `head.decode` hands on: boxes and scores.
    """

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self.runner = runner
        self.head = _Decoded()

    def forward(self, images: Tensor) -> Sequence[Tensor]:
        pixels = (images.float() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return [torch.from_numpy(each) for each in self.runner(np.ascontiguousarray(pixels))]


class Shipped(nn.Module):
    """A runner as a module that takes what it takes.  uint8 (B, H, W, 3) -> boxes (B, N, 4), scores (B, N, C)"""

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self.runner = runner

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, scores = self.runner(images.numpy())
        return torch.from_numpy(boxes), torch.from_numpy(scores)


def as_shipped(model: nn.Module) -> nn.Module:
    """A network, or what stands in for one, from pixels to boxes: doing the same work, they are timed side by side.

    uint8 (B, H, W, 3) -> boxes (B, N, 4), scores (B, N, C). Raises ConfigError for a network without boxes.
    """
    return Shipped(model.runner) if isinstance(model, Standin) else Deployed(model)


class _Decoded(nn.Module):
    """Raw maps that are boxes and scores already."""

    def decode(self, raw: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """They themselves."""
        boxes, scores = raw
        return boxes, scores
