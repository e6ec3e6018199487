"""The detection recipe: the common one, and what only detectors have."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ablab.config import Config
from ablab.recipe import DataRecipe, ModelRecipe, Part, PartSpec, Recipe, Slot


class DetectionModel(ModelRecipe):
    """Which detector. `width` and `depth` multiply channels and repeats; the size's own where they are not given.

    `backbone` takes the place of the CSP backbone: `{part: timm, args: {name: resnet18, pretrained: true}}`.
    """

    width: float | None = Field(default=None, gt=0)
    depth: float | None = Field(default=None, gt=0)
    backbone: Annotated[Part | None, Slot("backbone")] = None
    stem: Literal["conv", "focus", "separable"] = "conv"
    pool: Literal["sppf", "spp", "aspp"] = "sppf"
    residual: Literal["add", "concat"] = Field(default="add", description="how the backbone's blocks keep their input")
    neck: Literal["pan", "fpn", "bifpn"] = "pan"
    head: Literal["anchor", "anchor-free"] = "anchor"
    bins: int = Field(default=16, ge=2, description="anchor-free: bins of a side's distribution, in cells")

    @model_validator(mode="after")
    def _useful(self) -> DetectionModel:
        idle = [
            name
            for name in ("stem", "pool", "residual")
            if getattr(self, name) != type(self).model_fields[name].default
        ]
        if self.backbone and idle:
            raise ValueError(f"{' and '.join(idle)} would do nothing beside a backbone of your own; take it out")
        if self.head == "anchor" and self.bins != type(self).model_fields["bins"].default:
            raise ValueError("bins would do nothing: the head 'anchor' predicts no distribution; take it out")
        return self


class DetectionData(DataRecipe):
    """A data set in VOC, COCO, YOLO or CSV layout, or `photo-digits`, the embedded one, which has fields of its own.

    `splits` is a CSV file (columns image and split, or image and fold) that decides instead of the layout; of folds,
    `fold` is validation and the others are train.
    """

    path: str = "photo-digits"
    splits: str | None = None
    fold: int | None = Field(default=None, ge=0)
    sampler: Annotated[Part, Slot("sampler")] = PartSpec(part="shuffle")
    classes: int | None = Field(default=None, ge=1, le=10, description="photo-digits: the first so many digits")
    size: int = Field(default=160, ge=64, description="photo-digits: side of a scene in pixels")
    scenes: tuple[int, int, int] = Field(default=(1600, 300, 300), description="photo-digits: train, validation, test")
    seed: int = Field(default=0, ge=0, description="photo-digits: which scenes")


class LossRecipe(Config):
    """Assigner, losses and how they are weighed. What is None is the head's own (`losses/defaults.py`):

                     assigner       box    objectness  distribution  gains: box  objectness  class  distribution
        anchor       ratio          ciou   bce         -                    0.05  1.0         0.5    -
        anchor-free  task-aligned   ciou   -           dfl                  7.5   -           0.5    1.5

    A field that the head has no use for is refused. `balance` weighs objectness a level (strides 8, 16, 32).
    """

    box: Annotated[Part, Slot("box_loss")] = PartSpec(part="ciou")
    objectness: Annotated[Part | None, Slot("class_loss")] = None
    classification: Annotated[Part, Slot("class_loss")] = PartSpec(part="bce")
    distribution: Annotated[Part | None, Slot("distribution_loss")] = None
    assigner: Annotated[Part | None, Slot("assigner")] = None
    box_gain: float | None = Field(default=None, ge=0)
    objectness_gain: float | None = Field(default=None, ge=0)
    classification_gain: float = Field(default=0.5, ge=0)
    distribution_gain: float | None = Field(default=None, ge=0)
    balance: tuple[float, float, float] | None = None
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)


class AugmentRecipe(Config):
    """Probabilities and ranges; all draws are keyed by (study, seed, epoch, sample id).

    The order is: mosaic or letterbox, mixup or cutmix, crop, affine, colour, RandAugment, blur, noise, flip, erase,
    then `extra` as listed: parts of the slot augmentation, yours among them, each with draws of its own.
    """

    mosaic: float = Field(default=0.5, ge=0, le=1, description="probability of a mosaic of four")
    mosaic_epochs: float = Field(default=1.0, ge=0, le=1, description="share of epochs, from the first, with mosaics")
    mixup: float = Field(default=0.0, ge=0, le=1, description="probability of blending with a second image")
    cutmix: float = Field(default=0.0, ge=0, le=1, description="probability of a window from a second image")
    crop: float = Field(default=0.0, ge=0, le=1, description="probability of zooming into a random window")
    flip: float = Field(default=0.5, ge=0, le=1, description="probability of a left-right flip")
    degrees: float = Field(default=0.0, ge=0, le=180, description="rotation, +- degrees")
    translate: float = Field(default=0.1, ge=0, le=1, description="shift, +- share of the side")
    scale: float = Field(default=0.5, ge=0, lt=1, description="zoom, 1 +- this")
    shear: float = Field(default=0.0, ge=0, le=45, description="shear, +- degrees")
    hue: float = Field(default=0.015, ge=0, le=0.5, description="hue, +- share of the circle")
    saturation: float = Field(default=0.7, ge=0, le=1, description="saturation, times 1 +- this")
    value: float = Field(default=0.4, ge=0, le=1, description="brightness, times 1 +- this")
    randaugment: int = Field(default=0, ge=0, description="RandAugment's operations an image (Cubuk et al. 2020)")
    magnitude: float = Field(default=9.0, ge=0, le=30, description="RandAugment's magnitude, of 30")
    blur: float = Field(default=0.0, ge=0, le=1, description="probability of a Gaussian blur")
    noise: float = Field(default=0.0, ge=0, le=1, description="probability of Gaussian noise")
    erase: float = Field(default=0.0, ge=0, le=1, description="probability of erasing a rectangle")
    multi_scale: float = Field(
        default=0.0, ge=0, lt=1, description="side of a batch, times 1 +- this, by whole strides"
    )
    extra: Annotated[list[Part], Slot("augmentation")] = Field(default_factory=list)


class PostprocessRecipe(Config):
    """The one place for evaluation's settings (trap 17).

    What a box does to those of its class that score less, by their overlap with it:

        hard         drops those with an IoU above `iou`
        diou         drops those whose IoU, less the share of the centres' distance, is above `iou` (Zheng et al. 2020)
        soft         lowers their scores by exp(-IoU^2 / `sigma`) (Bodla et al. 2017, equation 3)
        soft-linear  lowers the scores of those with an IoU above `iou` by 1 - IoU (equation 2)

    With `agnostic` a box does so to those of every class: two classes never share a place.

    `rectangular` cuts whole strides of grey off, of which 64 pixels stay at either side: AP stays, and images of
    another aspect than the input take less time.
    """

    confidence: float = Field(default=0.001, ge=0, lt=1)
    nms: Literal["hard", "diou", "soft", "soft-linear"] = "hard"
    iou: float = Field(default=0.6, gt=0, le=1)
    sigma: float = Field(default=0.5, gt=0)
    agnostic: bool = False
    most: int = Field(default=100, ge=1, description="detections an image")
    rectangular: bool = False

    @model_validator(mode="after")
    def _used(self) -> PostprocessRecipe:
        idle, field = ("iou", self.iou) if self.nms == "soft" else ("sigma", self.sigma)
        default = type(self).model_fields[idle].default
        if field != default:
            raise ValueError(f"{idle} would do nothing: nms is '{self.nms}'; leave it at its default, {default}")
        return self


_Sides = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]  # width, height
_Level = tuple[_Sides, _Sides, _Sides]
Anchors = tuple[_Level, _Level, _Level]  # strides 8, 16, 32


class DetectionRecipe(Recipe):
    """One training of a detector."""

    task: Literal["detection"] = "detection"
    model: DetectionModel = DetectionModel()
    data: DetectionData = DetectionData()
    anchors: Literal["auto", "refit", "keep"] | Anchors = Field(
        default="auto",
        description="or nine of your own, in input pixels: [[[w, h], [w, h], [w, h]], ...]",
    )
    loss: LossRecipe = LossRecipe()
    augment: AugmentRecipe = AugmentRecipe()
    postprocess: PostprocessRecipe = PostprocessRecipe()

    @model_validator(mode="after")
    def _anchors(self) -> DetectionRecipe:
        if self.model.head == "anchor-free" and self.anchors != "auto":
            raise ValueError(f"anchors: '{self.anchors}' would do nothing: the head is anchor-free; take it out")
        return self
