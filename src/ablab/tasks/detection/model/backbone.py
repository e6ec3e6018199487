"""Backbones: from an image to maps at strides 8, 16 and 32.

The maps leave through `out.p3`, `out.p4`, `out.p5`: identities that give surgery a place to act, so that
`after: backbone.out` means what the neck receives, whatever the backbone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from ablab import registry
from ablab.errors import ConfigError
from ablab.recipe import PartSpec
from ablab.tasks.detection.blocks import ASPP, C3, SPP, SPPF, Conv, Focus, SeparableStem

STRIDES = (8, 16, 32)
STEMS: dict[str, Callable[[int, int], nn.Module]] = {
    "conv": partial(Conv, kernel=6, stride=2, padding=2),
    "focus": Focus,
    "separable": SeparableStem,
}
POOLS: dict[str, Callable[[int, int], nn.Module]] = {"sppf": SPPF, "spp": SPP, "aspp": ASPP}
Maps = tuple[Tensor, Tensor, Tensor]  # (B, C_l, H / stride, W / stride) each


def exits() -> nn.ModuleDict:
    """Three named identities, for surgery."""
    return nn.ModuleDict({"p3": nn.Identity(), "p4": nn.Identity(), "p5": nn.Identity()})


class CSPDarknet(nn.Module):
    """YOLOv5's own.  (B, 3, H, W) -> Maps"""

    def __init__(
        self,
        widths: Sequence[int],
        repeats: Sequence[int],
        stem: str = "conv",
        pool: str = "sppf",
        residual: str = "add",
    ) -> None:
        """`widths` of five stages, `repeats` of the four after the stem."""
        super().__init__()
        w1, w2, w3, w4, w5 = widths
        self.channels = (w3, w4, w5)
        self.stem = STEMS[stem](3, w1)
        self.stage2 = nn.Sequential(Conv(w1, w2, 3, 2), C3(w2, w2, repeats[0], residual))
        self.stage3 = nn.Sequential(Conv(w2, w3, 3, 2), C3(w3, w3, repeats[1], residual))
        self.stage4 = nn.Sequential(Conv(w3, w4, 3, 2), C3(w4, w4, repeats[2], residual))
        self.stage5 = nn.Sequential(Conv(w4, w5, 3, 2), C3(w5, w5, repeats[3], residual), POOLS[pool](w5, w5))
        self.out = exits()

    def forward(self, x: Tensor) -> Maps:
        p3 = self.stage3(self.stage2(self.stem(x)))
        p4 = self.stage4(p3)
        p5 = self.stage5(p4)
        return self.out["p3"](p3), self.out["p4"](p4), self.out["p5"](p5)


class PartBackbone(nn.Module):
    """A part of the slot `backbone`, with YOLOv5's exits.  (B, 3, H, W) -> Maps

    Raises ConfigError for a part that is unknown, or whose strides are not 8, 16 and 32.
    """

    def __init__(self, part: PartSpec) -> None:
        super().__init__()
        self.body = registry.make(part.part, "backbone", **part.args)
        self.channels = tuple(self.body.channels)
        if tuple(self.body.strides) != STRIDES:
            raise ConfigError(f"backbone/{part.part} has the strides {self.body.strides}; the neck wants {STRIDES}")
        self.out = exits()

    def forward(self, x: Tensor) -> Maps:
        p3, p4, p5 = self.body(x)
        return self.out["p3"](p3), self.out["p4"](p4), self.out["p5"](p5)
