"""The losses of an anchor-free head: box, distribution and class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import embedding

from ablab.tasks.detection.assigners import Assign, Objects, Predictions
from ablab.tasks.detection.grid import Grid, along
from ablab.tasks.detection.heads.anchor_free import boxes_at, decode_distances, distances_of, mean_distance
from ablab.tasks.detection.losses.classification import targets_of
from ablab.tasks.detection.losses.divisor import divisor

NEAREST = 0.01  # cells: the box losses divide by sides
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class AnchorFreeLosses:
    """Box, distribution and class loss, each a part, all over the batch's sum of pair scores (1 at least).

    Box and distribution losses are of assigned pairs, weighed by their scores. The class loss is of all places and
    classes; its target is a pair's score for the object's class and 0 elsewhere (Feng et al. 2021, equation 8 with the
    loss as a part; Li et al. 2020, https://arxiv.org/abs/2006.04388, section 3.2). Label smoothing acts where there is
    a label: on assigned places.
    """

    assign: Assign
    box: Loss
    distribution: Loss
    classification: Loss
    strides: tuple[int, ...]
    bins: int
    classes: int
    smoothing: float

    def __call__(self, raw: Sequence[Tensor], objects: Objects) -> dict[str, Tensor]:
        """raw: (B, 4 * bins + C, H_l, W_l) a level.  -> three scalars"""
        grid = Grid(self.strides, tuple((y.shape[2], y.shape[3]) for y in raw), raw[0].device)
        flat = along(raw)  # (B, N, 4 * bins + C)
        pairs = self.assign(objects, grid, lambda: Predictions(*decode_distances(flat.detach(), grid, self.bins)))
        total = divisor(pairs.score.sum(), len(raw[0]))

        place = objects.images[pairs.object] * grid.count + pairs.place  # (K,)
        # `embedding` and not an index: an assigner may give a place to several objects, and only this gradient sums
        # them in a fixed order on several threads.
        sides = embedding(place, flat.flatten(0, 1))[:, : 4 * self.bins].reshape(-1, 4, self.bins)  # (K, 4, bins)
        wanted, centre, stride = objects.boxes[pairs.object], grid.centres()[pairs.place], grid.pitch()[pairs.place]
        predicted = boxes_at(mean_distance(sides).clamp(min=NEAREST), centre, stride)
        distribution = self.distribution(sides, distances_of(wanted, centre, stride))

        logits = flat[..., 4 * self.bins :].flatten(0, 1)  # (B * N, C)
        target = targets_of(objects.labels[pairs.object], self.classes, self.smoothing, pairs.score)  # (K, C)
        targets = logits.new_zeros(logits.shape).scatter_reduce(0, place[:, None].expand_as(target), target, "amax")
        return {
            "box": (self.box(predicted, wanted) * pairs.score).sum() / total,
            "distribution": (distribution * pairs.score).sum() / total,
            "classification": self.classification(logits, targets).sum() / total,
        }
