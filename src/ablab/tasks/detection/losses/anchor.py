"""The losses of an anchor head: box, objectness and class, as in YOLOv5."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding

from ablab.tasks.detection.assigners import Assign, Objects, Predictions
from ablab.tasks.detection.grid import Grid, along
from ablab.tasks.detection.heads.anchor import decode_anchors, decode_boxes
from ablab.tasks.detection.losses.box import paired_iou
from ablab.tasks.detection.losses.classification import targets_of
from ablab.tasks.detection.losses.divisor import divisor

SMALLEST_SIDE = 0.01  # pixels: the box losses divide by sides
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class AnchorLosses:
    """Box, objectness and class loss of YOLOv5, each a part.

    In each level: the box loss is the mean over assigned pairs, weighed by their scores; objectness is the mean over
    all places, its target the IoU of the predicted box with its object (0 where there is none, the highest where there
    are several), times the level's balance; the class loss is the mean over assigned pairs and classes, and absent
    where there is one class. Levels are summed.

    The objectness target is the IoU whatever the box loss (YOLOv5: its CIoU), so that a change of box loss changes
    nothing else.
    """

    assign: Assign
    box: Loss
    objectness: Loss
    classification: Loss
    anchors: Tensor
    strides: tuple[int, ...]
    classes: int
    balance: tuple[float, ...]
    smoothing: float

    def __call__(self, raw: Sequence[Tensor], objects: Objects) -> dict[str, Tensor]:
        """raw: (B, A * (5 + C), H_l, W_l) a level.  -> three scalars"""
        anchors = self.anchors.to(raw[0].device)
        grid = Grid(self.strides, tuple((y.shape[2], y.shape[3]) for y in raw), raw[0].device, anchors)
        flat = along(raw, grid.each)  # (B, N, 5 + C)
        pairs = self.assign(objects, grid, lambda: Predictions(*decode_anchors(flat.detach(), grid)))
        weight = self._weight(pairs.place, pairs.score, grid, len(raw[0]))

        place = objects.images[pairs.object] * grid.count + pairs.place  # (K,)
        # `embedding` and not an index: several objects may share a place, and only this gradient sums them in a fixed
        # order on several threads.
        at = embedding(place, flat.flatten(0, 1))  # (K, 5 + C)
        wanted = objects.boxes[pairs.object]
        centre, anchor, stride = grid.centres()[pairs.place], grid.sides()[pairs.place], grid.pitch()[pairs.place]
        predicted = decode_boxes(at[:, :4].sigmoid(), centre, anchor, stride, SMALLEST_SIDE)
        parts = {
            "box": (self.box(predicted, wanted) * weight).sum(),
            "objectness": self._objectness(flat[..., 4], place, paired_iou(predicted.detach(), wanted), grid),
            "classification": weight.new_zeros(()),
        }
        if self.classes > 1:
            targets = targets_of(objects.labels[pairs.object], self.classes, self.smoothing)
            parts["classification"] = (self.classification(at[:, 5:], targets).mean(dim=1) * weight).sum()
        return parts

    def _weight(self, place: Tensor, score: Tensor, grid: Grid, images: int) -> Tensor:
        """Each pair's share in its level's mean.  (K,), (K,) -> (K,)"""
        starts = torch.tensor(grid.starts[1:], device=place.device)
        level = torch.bucketize(place, starts, right=True)
        members = level == torch.arange(len(grid.starts), device=place.device)[:, None]  # (levels, K)
        return score / divisor((members * score).sum(dim=1), images)[level]

    def _objectness(self, logits: Tensor, place: Tensor, overlap: Tensor, grid: Grid) -> Tensor:
        """(B, N) logits, the pairs' flat places (K,) and IoUs (K,) -> a scalar"""
        target = logits.new_zeros(logits.numel()).scatter_reduce(0, place, overlap, "amax")
        losses = self.objectness(logits, target.view_as(logits))
        levels = zip(torch.split(losses, grid.counts, dim=1), self.balance, strict=True)
        return torch.stack([level.mean() * balance for level, balance in levels]).sum()
