"""TOOD's assigner: an object goes to the places that already score and overlap best."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ablab.errors import ConfigError
from ablab.registry import register
from ablab.tasks.detection.assigners.assignment import Assignment, Objects, Predictions
from ablab.tasks.detection.grid import Grid
from ablab.tasks.detection.losses.box import paired_iou


@register("assigner", "task-aligned", paper="https://arxiv.org/abs/2108.07755")
class TaskAlignedAssigner:
    """Task-aligned one-stage object detection (Feng et al. 2021), section 3.2.

    A place fits an object by t = score^alpha * IoU^beta (equation 6), where the score is of the object's class. Of the
    places whose centre lies in its box an object gets the `topk` that fit best; a place that several objects want goes
    to the one that it overlaps most. A pair's score is t, scaled so that the best of an object equals its highest IoU.

    An object that is smaller than a cell of the finest level counts there as being as large as one, so that some
    centre lies in it. Ties go to the first place, and to the first object by label and coordinates, so the order in
    which objects come does not matter.
    """

    def __init__(self, alpha: float = 0.5, beta: float = 6.0, topk: int = 10) -> None:
        if alpha < 0 or beta < 0:
            raise ConfigError(f"assigner/task-aligned: alpha and beta must not be negative, got {alpha} and {beta}")
        if topk < 1:
            raise ConfigError(f"assigner/task-aligned: topk must be 1 or more, got {topk}")
        self.alpha, self.beta, self.topk = alpha, beta, topk

    def __call__(self, objects: Objects, grid: Grid, predict: Callable[[], Predictions]) -> Assignment:
        """A box without width or height is assigned to nothing."""
        order = _settled(objects)
        boxes, labels, images = objects.boxes[order], objects.labels[order], objects.images[order]
        index, place = _inside(boxes, grid).nonzero().unbind(dim=1)  # (P,), the objects in order
        predicted, scores = predict()
        at = images[index] * grid.count + place
        overlap = paired_iou(predicted.flatten(0, 1)[at], boxes[index])
        fit = scores.flatten()[at * scores.shape[-1] + labels[index]] ** self.alpha * overlap**self.beta
        best = self._best(fit, index, len(boxes)).nonzero()[:, 0]
        kept = best[_owned(at[best], overlap[best], index[best], predicted.shape[0] * grid.count)]
        index, fit, overlap = index[kept], fit[kept], overlap[kept]
        none = fit.new_zeros(len(boxes))
        highest = none.scatter_reduce(0, index, overlap, "amax") / none.scatter_reduce(0, index, fit, "amax").clamp(
            min=torch.finfo(fit.dtype).tiny
        )
        return Assignment(place[kept], order[index], fit * highest[index])

    def _best(self, fit: Tensor, index: Tensor, count: int) -> Tensor:
        """Which candidates are among their object's best; (P,), (P,) of rising objects -> (P,) bool"""
        each = torch.bincount(index, minlength=count)
        if not len(index) or int(each.max()) <= self.topk:
            return torch.ones_like(fit, dtype=torch.bool)
        slot = torch.arange(len(index), device=fit.device) - (each.cumsum(0) - each)[index]
        table = fit.new_full((count, int(each.max())), -1.0)
        table[index, slot] = fit
        least = table.topk(self.topk).values[:, -1:]
        above, level = table > least, table == least
        room = self.topk - above.sum(dim=1, keepdim=True)
        return (above | (level & (level.cumsum(dim=1) <= room)))[index, slot]


def _settled(objects: Objects) -> Tensor:
    """An order of the objects that does not depend on how they came: by image, label and coordinates.  -> (M,)"""
    order = torch.arange(len(objects.labels), device=objects.labels.device)
    for key in (*objects.boxes.unbind(dim=1), objects.labels, objects.images):
        order = order[key[order].argsort(stable=True)]
    return order


def _inside(boxes: Tensor, grid: Grid) -> Tensor:
    """Which places' centres lie in which boxes.  (M, 4) -> (M, N) bool"""
    sides = boxes[:, 2:] - boxes[:, :2]
    real = (sides > 0).all(dim=1)
    half = torch.where(real[:, None], sides / 2, -1)
    middle = boxes[:, :2] + sides / 2
    levels: list[Tensor] = []
    for stride, (height, width) in zip(grid.strides, grid.sizes, strict=True):
        reach = half if levels else torch.where(real[:, None], half.clamp(min=stride / 2), half)
        x = (torch.arange(width, device=boxes.device) + 0.5) * stride
        y = (torch.arange(height, device=boxes.device) + 0.5) * stride
        across = (x - middle[:, :1]).abs() <= reach[:, :1]  # (M, W)
        down = (y - middle[:, 1:]).abs() <= reach[:, 1:]  # (M, H)
        cells = down[:, :, None, None] & across[:, None, :, None]  # (M, H, W, 1)
        levels.append(cells.expand(-1, -1, -1, grid.each).flatten(1))
    return torch.cat(levels, dim=1)


def _owned(at: Tensor, overlap: Tensor, index: Tensor, places: int) -> Tensor:
    """Which pairs keep their place: those of the highest overlap, the first object of equals.  -> indices"""
    highest = overlap.new_full((places,), -1.0).scatter_reduce(0, at, overlap, "amax")
    wins = (overlap == highest[at]).nonzero()[:, 0]
    at, index = at[wins], index[wins]
    first = index.new_full((places,), torch.iinfo(index.dtype).max).scatter_reduce(0, at, index, "amin")
    return wins[index == first[at]]
