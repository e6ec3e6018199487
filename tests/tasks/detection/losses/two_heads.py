"""What the tests of both heads' criterion stand on: maps of 64 x 96 pixels, a truth, and the criterion of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ablab.config import parse
from ablab.tasks.detection.anchors import DEFAULT
from ablab.tasks.detection.losses.criterion import Criterion
from ablab.tasks.detection.recipe import LossRecipe

ANCHORS = torch.from_numpy(DEFAULT).float()
BINS = 6
STRIDES = (8, 16, 32)
SIZES = ((8, 12), (4, 6), (2, 3))


@dataclass(frozen=True)
class Head:
    """One of the two."""

    name: str
    spread: float  # pixels, the largest side of a drawn object less 6

    def criterion(self, classes: int = 3, **recipe: Any) -> Criterion:
        shape: dict[str, Any] = {"anchors": ANCHORS} if self.name == "anchor" else {"bins": BINS}
        return Criterion.of(parse(LossRecipe, recipe, "test"), STRIDES, classes, **shape)

    def channels(self, classes: int = 3) -> int:
        return 3 * (5 + classes) if self.name == "anchor" else 4 * BINS + classes

    def maps(self, classes: int = 3, images: int = 2) -> list[Tensor]:
        draw = torch.Generator().manual_seed(0)
        return [torch.randn(images, self.channels(classes), *hw, generator=draw).requires_grad_() for hw in SIZES]

    def truth(self, count: int = 6, classes: int = 3, images: int = 2) -> tuple[Tensor, Tensor, Tensor]:
        draw = torch.Generator().manual_seed(0)
        low = torch.rand(count, 2, generator=draw) * (torch.tensor([88.0, 58.0]) - self.spread)
        boxes = torch.cat((low, low + 6 + self.spread * torch.rand(count, 2, generator=draw)), dim=1)
        return boxes, torch.randint(classes, (count,), generator=draw), torch.randint(images, (count,), generator=draw)


ANCHOR = Head("anchor", spread=18.0)
ANCHOR_FREE = Head("anchor-free", spread=30.0)
