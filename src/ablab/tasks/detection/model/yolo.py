"""YOLOv5 v6, put together from a backbone, a neck and a head that the recipe names.

Every output is a raw map: decoding lives in the head, the loss in `losses`.

    image -> backbone.stem .. backbone.out -> neck -> head
                          P3  P4  P5          P3 P4 P5    raw maps
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ablab.errors import ConfigError, UnknownName
from ablab.measure.seeding import fresh, redraw
from ablab.tasks.detection.heads import AnchorFreeHead, AnchorHead
from ablab.tasks.detection.model.backbone import STRIDES, CSPDarknet, PartBackbone
from ablab.tasks.detection.model.neck import FPN, PAN, BiFPN
from ablab.tasks.detection.recipe import DetectionModel

WIDTH_AND_DEPTH = {"n": (0.25, 0.33), "s": (0.5, 0.33), "m": (0.75, 0.67), "l": (1.0, 1.0), "x": (1.25, 1.33)}
NECKS: dict[str, type[FPN | PAN | BiFPN]] = {"pan": PAN, "fpn": FPN, "bifpn": BiFPN}


def scale(recipe: DetectionModel) -> tuple[list[int], list[int]]:
    """Channels of the five stages and repeats of the last four; the neck takes the last three and the first of them.

    Raises ConfigError where the recipe's own width or depth comes out as the size's.
    """
    width, depth = WIDTH_AND_DEPTH[recipe.size]
    widths, repeats = _channels(recipe.width or width), _repeats(recipe.depth or depth)
    used = 1 if recipe.backbone else 4  # beside another backbone, depth acts in the neck alone
    same_width = recipe.width not in (None, width) and widths == _channels(width)
    same_depth = recipe.depth not in (None, depth) and repeats[:used] == _repeats(depth)[:used]
    if same_width or same_depth:
        name = "width" if same_width else "depth"
        raise ConfigError(f"model.{name} would do nothing: size '{recipe.size}' comes out the same; take it out")
    return widths, repeats


def _channels(width: float) -> list[int]:
    return [math.ceil(w * width / 8) * 8 for w in (64, 128, 256, 512, 1024)]


def _repeats(depth: float) -> list[int]:
    return [max(round(n * depth), 1) for n in (3, 6, 9, 3)]


class YOLOv5(nn.Module):
    """YOLOv5 of one size.  (B, 3, H, W) in 0..1, H and W multiples of 32 -> the head's raw maps."""

    strides = STRIDES

    def __init__(self, recipe: DetectionModel, classes: int, anchors: Tensor | None) -> None:
        """`anchors` (levels, A, 2) are widths and heights in pixels; None for a head without.

        Weights come from one number of torch's current generator and from their names, so that those which a field of
        the recipe does not touch stay as they were. Raises ConfigError for a width or depth that gives no other network
        than the size's own.
        """
        super().__init__()
        seed = fresh()
        widths, repeats = scale(recipe)
        self.backbone = (
            PartBackbone(recipe.backbone)
            if recipe.backbone
            else CSPDarknet(widths, repeats, recipe.stem, recipe.pool, recipe.residual)
        )
        self.neck = NECKS[recipe.neck](self.backbone.channels, widths[2:], repeats[0])
        self.head = (
            AnchorFreeHead(self.neck.channels, classes, recipe.bins, STRIDES)
            if anchors is None
            else AnchorHead(self.neck.channels, classes, anchors, STRIDES)
        )
        for name, room in self.named_children():
            if not isinstance(room, PartBackbone):  # which may be pretrained, and has ways of its own
                redraw(room, seed, name)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.neck(self.backbone(x)))


MODELS = {"yolov5": (YOLOv5, WIDTH_AND_DEPTH)}  # name: (class, its sizes)


def build_model(recipe: DetectionModel, classes: int, anchors: np.ndarray | Tensor | None) -> nn.Module:
    """The network that a recipe names, drawn from torch's current generator.

    `anchors` (3, A, 2) are widths and heights in pixels, for strides 8, 16, 32; an anchor-free head takes none. Raises
    UnknownName for an unknown name or size; ConfigError where there is no class or the anchors do not suit the head.
    """
    if recipe.name not in MODELS:
        raise UnknownName("model", recipe.name, MODELS, "model.name")
    build, sizes = MODELS[recipe.name]
    if recipe.size not in sizes:
        raise UnknownName("size", recipe.size, sizes, f"model.size of {recipe.name}")
    if classes < 1:
        raise ConfigError(f"a detector wants at least one class, got {classes}; does the data set name its classes?")
    if (anchors is None) != (recipe.head == "anchor-free"):
        raise ConfigError(f"the head '{recipe.head}' wants {'anchors, got none' if anchors is None else 'no anchors'}")
    if anchors is not None:
        anchors = torch.as_tensor(anchors, dtype=torch.float32)
        if anchors.ndim != 3 or anchors.shape[0] != len(STRIDES) or anchors.shape[2] != 2:
            raise ConfigError(f"anchors: expected the shape ({len(STRIDES)}, A, 2), got {tuple(anchors.shape)}")
    return build(recipe, classes, anchors)


def check_size(size: tuple[int, int], stride: int = STRIDES[-1]) -> None:
    """Raise ConfigError, naming the nearest sizes, unless height and width (pixels) are multiples of the stride."""
    if all(side > 0 and side % stride == 0 for side in size):
        return
    below, above = (tuple(max(step(side / stride), 1) * stride for side in size) for step in (math.floor, math.ceil))
    raise ConfigError(
        f"train.image_size: {size[0]} x {size[1]} (height x width) is no multiple of the network's stride {stride};"
        f" the nearest are {below[0]} x {below[1]} and {above[0]} x {above[1]}"
    )
