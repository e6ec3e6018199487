"""YOLOv5's assigner: by the ratio of sides, with neighbour cells."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ablab.errors import ConfigError
from ablab.registry import register
from ablab.tasks.detection.assigners.assignment import Assignment, Objects, Predictions
from ablab.tasks.detection.grid import Grid


@register("assigner", "ratio", paper="https://github.com/ultralytics/yolov5")
class RatioAssigner:
    """An anchor answers for an object when neither side of one is `ratio` times the other's.

    It does so in the cell that holds the object's centre, and in the neighbour cells whose border is nearer to the
    centre than `offset` cells: one beside and one above or below at 0.5, none at 0. Every pair scores 1.

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

    def __call__(self, objects: Objects, grid: Grid, predict: Callable[[], Predictions]) -> Assignment:
        """A box without width or height is assigned to nothing. Raises ConfigError where the head has no anchors."""
        if grid.anchors is None:
            raise ConfigError("assigner/ratio compares objects with anchors, and this head has none: 'task-aligned'?")
        sides = objects.boxes[:, 2:] - objects.boxes[:, :2]
        ratio = sides[:, None] / grid.anchors.view(-1, 2)  # (M, levels * A, 2)
        index, anchor = ((ratio < self.ratio) & (ratio > 1 / self.ratio)).all(dim=-1).nonzero().unbind(dim=1)  # (P,)
        level = anchor // grid.each
        stride, height, width, start = sides.new_tensor(
            [(s, h, w, n) for s, (h, w), n in zip(grid.strides, grid.sizes, grid.starts, strict=True)]
        )[level].unbind(dim=1)
        centre = (objects.boxes[:, :2] + objects.boxes[:, 2:])[index] / (2 * stride[:, None])
        pair, cell = self._cells(centre, torch.stack((width, height), dim=1) - 1)
        column, row = cell.unbind(dim=1)
        place = (start[pair] + (row * width[pair] + column) * grid.each).long() + anchor[pair] % grid.each
        return Assignment(place, index[pair], torch.ones_like(column))

    def _cells(self, centre: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Cells (column, row) that answer for each centre: (P, 2) -> which centre (K,), cell (K, 2).

        `last` (P, 2) is the map's last column and row.
        """
        home = torch.minimum(centre.floor().clamp(min=0), last)  # a centre on the far border belongs to the last cell
        within = centre - home
        near = (within < self.offset).float()
        far = (within > 1 - self.offset).float()
        step = far - near  # (P, 2): -1, 0 or 1 along x and along y
        beside, above = step * step.new_tensor([1, 0]), step * step.new_tensor([0, 1])
        cells = home + torch.stack((torch.zeros_like(home), beside, above))  # (3, P, 2)
        valid = ((cells >= 0) & (cells <= last)).all(dim=-1)
        valid[1:] &= (step != 0).T
        return valid.nonzero()[:, 1], cells[valid]
