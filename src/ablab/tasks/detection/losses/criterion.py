"""The criterion: an assigner and three losses over raw maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding, one_hot

from ablab import registry
from ablab.errors import ConfigError
from ablab.recipe import PartSpec
from ablab.tasks.detection.assigners import Assignment, Grid, Objects
from ablab.tasks.detection.heads import decode_boxes
from ablab.tasks.detection.losses.box import paired_iou
from ablab.tasks.detection.losses.defaults import resolve
from ablab.tasks.detection.recipe import LossRecipe

SMALLEST_SIDE = 0.01  # pixels: the box losses divide by sides
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Criterion:
    """Box, objectness and class loss of YOLOv5, each a part.

    In each level: the box loss is the mean over assigned places; objectness is the mean over all places, its target
    the IoU of the predicted box with its object (0 where there is none, the highest where there are several), times
    the level's balance; the class loss is the mean over assigned places and classes, and absent where there is one
    class. Levels are summed and each sum is multiplied by its gain.

    The gains count as declared. YOLOv5 scales them behind the scenes by image area and number of classes, and
    multiplies the loss by the batch size; here the loss is a mean, whose size does not depend on the batch. AdamW does
    not see the difference; to reuse a learning rate of YOLOv5's for SGD, multiply it by the batch size. The objectness
    target is the IoU whatever the box loss (YOLOv5: its CIoU), so that a change of box loss changes nothing else.
    """

    assign: Callable[[Objects, Grid], list[Assignment]]
    box: Loss
    objectness: Loss
    classification: Loss
    anchors: Tensor
    strides: tuple[int, ...]
    classes: int
    recipe: LossRecipe

    @classmethod
    def of(cls, recipe: LossRecipe, anchors: Tensor, strides: Sequence[int], classes: int) -> Criterion:
        """Build it from a recipe and a head's `anchors` (levels, A, 2), `strides` and `classes`.

        Raises ConfigError for an unknown part or argument, and where `balance` does not fit the levels.
        """
        recipe = resolve(recipe, "anchor")
        assert recipe.assigner  # `resolve` filled them in
        assert recipe.objectness
        assert recipe.balance
        if not len(anchors) == len(strides) == len(recipe.balance):
            raise ConfigError(
                f"loss.balance has {len(recipe.balance)} numbers, the head {len(anchors)} levels: give one a level"
            )
        return cls(
            assign=_make(recipe.assigner, "assigner"),
            box=_make(recipe.box, "box_loss"),
            objectness=_make(recipe.objectness, "class_loss"),
            classification=_make(recipe.classification, "class_loss"),
            anchors=anchors,
            strides=tuple(strides),
            classes=classes,
            recipe=recipe,
        )

    def __call__(
        self, raw: Sequence[Tensor], boxes: Tensor, labels: Tensor, image_index: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its three parts, which sum to it and are detached.

        raw: (B, A, H_l, W_l, 5 + C) a level; boxes (M, 4) x1 y1 x2 y2 in pixels of the input; labels (M,) and
        image_index (M,) int64. Computed in float32, also under autocast. With no box at all the loss is finite and
        has a gradient to every level.
        """
        with torch.autocast(raw[0].device.type, enabled=False):
            objects = Objects(boxes.float(), labels, image_index)
            grid = Grid(self.anchors.to(boxes.device), self.strides, tuple((y.shape[2], y.shape[3]) for y in raw))
            assignments = self.assign(objects, grid)
            levels = [self._level(y.float(), grid, level, assignments[level]) for level, y in enumerate(raw)]
            box, objectness, classification = torch.stack(levels).sum(dim=0)
            parts = {
                "box": box * (self.recipe.box_gain or 0.0),
                "objectness": objectness * (self.recipe.objectness_gain or 0.0),
                "classification": classification * self.recipe.classification_gain,
            }
            return torch.stack(list(parts.values())).sum(), {name: part.detach() for name, part in parts.items()}

    def _level(self, raw: Tensor, grid: Grid, level: int, assigned: Assignment) -> Tensor:
        """Box, objectness and class loss of one level.  (B, A, H, W, 5 + C) -> (3,)"""
        b, a, h, w, k = raw.shape
        place = ((assigned.image * a + assigned.anchor) * h + assigned.row) * w + assigned.column  # (K,)
        # `embedding` and not an index: several objects may share a place, and only this gradient sums them in a fixed
        # order on several threads.
        at = embedding(place, raw.reshape(b * a * h * w, k))  # (K, 5 + C)
        cell = torch.stack((assigned.column, assigned.row), dim=-1)
        predicted = decode_boxes(
            at[:, :4].sigmoid(), cell, grid.anchors[level][assigned.anchor], grid.strides[level], SMALLEST_SIDE
        )
        count = max(len(place), 1)
        box = self.box(predicted, assigned.boxes).sum() / count

        target = raw.new_zeros(b * a * h * w)
        target.scatter_reduce_(0, place, paired_iou(predicted.detach(), assigned.boxes), "amax")
        objectness = self.objectness(raw[..., 4].reshape(-1), target).mean() * (self.recipe.balance or ())[level]

        if self.classes == 1:
            return torch.stack((box, objectness, torch.zeros_like(box)))
        wanted = one_hot(assigned.labels, self.classes).float()  # (K, C)
        classification = self.classification(at[:, 5:], wanted).sum() / (count * self.classes)
        return torch.stack((box, objectness, classification))


def _make(part: PartSpec, slot: str) -> Any:
    return registry.make(part.part, slot, **part.args)
