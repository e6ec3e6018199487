"""A head's criterion: an assigner and its losses over raw maps.

raw maps, objects --assign--> pairs of a place and an object --losses--> parts, each times its gain --sum--> loss
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ablab import registry
from ablab.errors import ConfigError
from ablab.recipe import PartSpec
from ablab.tasks.detection.assigners import Objects
from ablab.tasks.detection.losses.anchor import AnchorLosses
from ablab.tasks.detection.losses.anchor_free import AnchorFreeLosses
from ablab.tasks.detection.losses.defaults import resolve
from ablab.tasks.detection.recipe import LossRecipe


@dataclass(frozen=True)
class Criterion:
    """The losses of a head, each times its gain.

    The gains count as declared. YOLOv5 scales them behind the scenes by image area and number of classes, and
    multiplies the loss by the batch size; here the loss is a mean, whose size does not depend on the batch. AdamW does
    not see the difference; to reuse a learning rate of YOLOv5's for SGD, multiply it by the batch size.
    """

    losses: Callable[[Sequence[Tensor], Objects], dict[str, Tensor]]
    gains: dict[str, float]

    @classmethod
    def of(
        cls,
        recipe: LossRecipe,
        strides: Sequence[int],
        classes: int,
        *,
        anchors: Tensor | None = None,
        bins: int | None = None,
    ) -> Criterion:
        """Build it from a recipe and what the head is made of: `anchors` (levels, A, 2) in pixels, or else `bins`.

        Raises ConfigError for an unknown part or argument, for a field that would do nothing, and where `balance` does
        not fit the levels.
        """
        if (anchors is None) == (bins is None):
            raise ConfigError("a head has either anchors or bins; give the criterion what its head has")
        if anchors is not None:
            return cls(*_of_anchors(resolve(recipe, "anchor"), tuple(strides), classes, anchors))
        assert bins
        return cls(*_of_bins(resolve(recipe, "anchor-free"), tuple(strides), classes, bins))

    def __call__(
        self, raw: Sequence[Tensor], boxes: Tensor, labels: Tensor, image_index: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its parts, which sum to it and are detached.

        raw: the head's maps, a level each; boxes (M, 4) x1 y1 x2 y2 in pixels of the input; labels (M,) and image_index
        (M,) int64. Computed in float32, also under autocast. With no box at all the loss is finite and has a gradient
        to every level.
        """
        with torch.autocast(raw[0].device.type, enabled=False):
            measured = self.losses(raw, Objects(boxes.float(), labels, image_index))
            parts = {name: part * self.gains[name] for name, part in measured.items()}
            return torch.stack(list(parts.values())).sum(), {name: part.detach() for name, part in parts.items()}


def _of_anchors(
    recipe: LossRecipe, strides: tuple[int, ...], classes: int, anchors: Tensor
) -> tuple[AnchorLosses, dict[str, float]]:
    assert recipe.balance  # `resolve` filled it in
    if not len(anchors) == len(strides) == len(recipe.balance):
        raise ConfigError(
            f"loss.balance has {len(recipe.balance)} numbers, the head {len(anchors)} levels: give one a level"
        )
    fields = ("classification", "classification_gain", "label_smoothing")
    idle = [f"loss.{name}" for name in fields if getattr(recipe, name) != LossRecipe.model_fields[name].default]
    if classes == 1 and idle:
        raise ConfigError(f"{' and '.join(idle)} would do nothing: with one class the anchor head has no class loss")
    if recipe.label_smoothing and _over_classes(recipe.classification):
        raise ConfigError(
            f"loss.label_smoothing is of classes that each say yes or no; '{recipe.classification.part}' smooths by "
            "its own argument: args: {smoothing: ...}"
        )
    losses = AnchorLosses(
        assign=_make(recipe.assigner, "assigner"),
        box=_make(recipe.box, "box_loss"),
        objectness=_single(recipe.objectness, "objectness"),
        classification=_make(recipe.classification, "class_loss"),
        anchors=anchors,
        strides=strides,
        classes=classes,
        balance=recipe.balance,
        smoothing=recipe.label_smoothing,
    )
    return losses, _gains(recipe, "box", "objectness", "classification")


def _of_bins(
    recipe: LossRecipe, strides: tuple[int, ...], classes: int, bins: int
) -> tuple[AnchorFreeLosses, dict[str, float]]:
    losses = AnchorFreeLosses(
        assign=_make(recipe.assigner, "assigner"),
        box=_make(recipe.box, "box_loss"),
        distribution=_make(recipe.distribution, "distribution_loss"),
        classification=_single(recipe.classification, "classification"),
        strides=strides,
        bins=bins,
        classes=classes,
        smoothing=recipe.label_smoothing,
    )
    return losses, _gains(recipe, "box", "distribution", "classification")


def _gains(recipe: LossRecipe, *names: str) -> dict[str, float]:
    return {name: getattr(recipe, f"{name}_gain") for name in names}


def _over_classes(part: PartSpec) -> bool:
    return bool(registry.get(part.part, "class_loss").traits.get("over_classes"))


def _single(part: PartSpec | None, field: str) -> Any:
    """A class loss for places that may hold nothing: each logit has to stand for itself."""
    assert part  # `resolve` filled it in
    if _over_classes(part):
        raise ConfigError(
            f"loss.{field}: '{part.part}' only tells classes apart, and here a place may hold no object; take one that "
            "judges each logit alone, as 'bce' does"
        )
    return _make(part, "class_loss")


def _make(part: PartSpec | None, slot: str) -> Any:
    assert part  # `resolve` filled it in
    return registry.make(part.part, slot, **part.args)
