"""YOLOv5's assigner: by the ratio of sides, with neighbour cells."""

from __future__ import annotations

import torch
from torch import Tensor

from ablab.errors import ConfigError
from ablab.registry import register
from ablab.tasks.detection.assigners.assignment import Assignment, Grid, Objects


@register("assigner", "ratio", paper="https://github.com/ultralytics/yolov5")
class RatioAssigner:
    """An anchor answers for an object when neither side of one is `ratio` times the other's.

    It does so in the cell that holds the object's centre, and in the neighbour cells whose border is nearer to the
    centre than `offset` cells: one beside and one above or below at 0.5, none at 0.

        +---+---+---+      x is the centre: cells a, b and c answer. The decoder reaches from -0.5 to 1.5 cells, so
        |   | b |   |      all three can place a box there.
        +---+---+---+
        | c | x |   |      (x stands in a's upper left quarter)
        +---+---+---+
    """

    def __init__(self, ratio: float = 4.0, offset: float = 0.5) -> None:
        if ratio <= 1:
            raise ConfigError(f"assigner/ratio: ratio must be above 1, got {ratio}")
        if not 0 <= offset <= 0.5:
            raise ConfigError(f"assigner/ratio: offset must be in 0..0.5, which the decoder can reach, got {offset}")
        self.ratio, self.offset = ratio, offset

    def __call__(self, objects: Objects, grid: Grid) -> list[Assignment]:
        """One `Assignment` a level. A box without width or height is assigned to nothing."""
        levels = zip(grid.anchors, grid.strides, grid.sizes, strict=True)
        return [self._level(objects, anchors, stride, size) for anchors, stride, size in levels]

    def _level(self, objects: Objects, anchors: Tensor, stride: int, size: tuple[int, int]) -> Assignment:
        sides = objects.boxes[:, 2:] - objects.boxes[:, :2]
        ratio = sides[:, None] / anchors  # (M, A, 2)
        index, anchor = ((ratio < self.ratio) & (ratio > 1 / self.ratio)).all(dim=-1).nonzero().unbind(dim=1)  # (P,)
        centre = (objects.boxes[:, :2] + objects.boxes[:, 2:])[index] / (2 * stride)
        pair, cell = self._cells(centre, size)
        index, anchor = index[pair], anchor[pair]
        return Assignment(
            image=objects.images[index],
            anchor=anchor,
            row=cell[:, 1],
            column=cell[:, 0],
            boxes=objects.boxes[index],
            labels=objects.labels[index],
        )

    def _cells(self, centre: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Cells (column, row) that answer for each centre: (P, 2) -> which centre (K,), cell (K, 2)."""
        height, width = size
        last = centre.new_tensor([width - 1, height - 1])
        home = torch.minimum(centre.floor().clamp(min=0), last)  # a centre on the far border belongs to the last cell
        within = centre - home
        near = (within < self.offset).float()
        far = (within > 1 - self.offset).float()
        step = far - near  # (P, 2): -1, 0 or 1 along x and along y
        beside, above = step * step.new_tensor([1, 0]), step * step.new_tensor([0, 1])
        cells = home + torch.stack((torch.zeros_like(home), beside, above))  # (3, P, 2)
        valid = ((cells >= 0) & (cells <= last)).all(dim=-1)
        valid[1:] &= (step != 0).T
        pair = valid.nonzero()[:, 1]
        return pair, cells[valid].long()
