"""The detection recipe: the common one, and what only detectors have."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ablab.config import Config
from ablab.recipe import DataRecipe, Part, PartSpec, Recipe


class DetectionData(DataRecipe):
    """A data set in VOC layout, or `photo-digits`, the embedded one, which also takes the fields below `path`."""

    path: str = "photo-digits"
    classes: int | None = Field(default=None, ge=1, le=10, description="photo-digits: the first so many digits")
    size: int = Field(default=160, ge=64, description="photo-digits: side of a scene in pixels")
    scenes: tuple[int, int, int] = Field(default=(1600, 300, 300), description="photo-digits: train, validation, test")
    seed: int = Field(default=0, ge=0, description="photo-digits: which scenes")


class LossRecipe(Config):
    """Assigner, three losses and how they are weighed (YOLOv5's gains; balance is per level, strides 8, 16, 32)."""

    box: Part = PartSpec(part="ciou")
    objectness: Part = PartSpec(part="bce")
    classification: Part = PartSpec(part="bce")
    assigner: Part = PartSpec(part="ratio")
    box_gain: float = Field(default=0.05, ge=0)
    objectness_gain: float = Field(default=1.0, ge=0)
    classification_gain: float = Field(default=0.5, ge=0)
    balance: tuple[float, float, float] = (4.0, 1.0, 0.4)


class AugmentRecipe(Config):
    """Probabilities and ranges; all draws are keyed by (study, seed, epoch, sample id)."""

    mosaic: float = Field(default=0.5, ge=0, le=1, description="probability of a mosaic of four")
    flip: float = Field(default=0.5, ge=0, le=1, description="probability of a left-right flip")
    degrees: float = Field(default=0.0, ge=0, le=180, description="rotation, +- degrees")
    translate: float = Field(default=0.1, ge=0, le=1, description="shift, +- share of the side")
    scale: float = Field(default=0.5, ge=0, lt=1, description="zoom, 1 +- this")
    shear: float = Field(default=0.0, ge=0, le=45, description="shear, +- degrees")
    hue: float = Field(default=0.015, ge=0, le=0.5, description="hue, +- share of the circle")
    saturation: float = Field(default=0.7, ge=0, le=1, description="saturation, times 1 +- this")
    value: float = Field(default=0.4, ge=0, le=1, description="brightness, times 1 +- this")


class PostprocessRecipe(Config):
    """The one place for evaluation's settings (trap 17)."""

    confidence: float = Field(default=0.001, ge=0, lt=1)
    nms: Literal["hard"] = "hard"
    iou: float = Field(default=0.6, gt=0, le=1)
    most: int = Field(default=100, ge=1, description="detections an image")


class DetectionRecipe(Recipe):
    """One training of a detector."""

    task: Literal["detection"] = "detection"
    data: DetectionData = DetectionData()
    anchors: Literal["auto", "refit", "keep"] = "auto"
    loss: LossRecipe = LossRecipe()
    augment: AugmentRecipe = AugmentRecipe()
    postprocess: PostprocessRecipe = PostprocessRecipe()
