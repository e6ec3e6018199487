"""The order of the augmentations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ablab.tasks.detection.augment.affine import Affine
from ablab.tasks.detection.augment.blur import Blur
from ablab.tasks.detection.augment.crop import Crop
from ablab.tasks.detection.augment.cutmix import cutmix
from ablab.tasks.detection.augment.erase import Erase
from ablab.tasks.detection.augment.flip import Flip
from ablab.tasks.detection.augment.hsv import HSV
from ablab.tasks.detection.augment.letterbox import letterbox
from ablab.tasks.detection.augment.mixup import mixup
from ablab.tasks.detection.augment.mosaic import mosaic
from ablab.tasks.detection.augment.noise import Noise
from ablab.tasks.detection.augment.randaugment import RandAugment
from ablab.tasks.detection.boxes import Sample
from ablab.tasks.detection.recipe import AugmentRecipe

Load = Callable[[int], Sample]
Draws = Callable[[str], np.random.Generator]


def augment(load: Load, count: int, index: int, size: tuple[int, int], settings: AugmentRecipe, draws: Draws) -> Sample:
    """Sample `index` of the `count` that `load` knows, augmented to `size` (H, W), but for `settings.extra`.

    `draws` gives each augmentation a stream of its own by name, so that none moves the draws of another. Partners are
    drawn too: the result depends on nothing else.
    """
    rng = draws("mosaic")
    tiled = rng.random() < settings.mosaic
    sample = _canvas(load, count, index, size, tiled, rng)
    second = _partner(settings, draws) if count > 1 else None
    if second:
        mix, rng = second
        other = (index + 1 + int(rng.integers(count - 1))) % count
        sample = mix(sample, _canvas(load, count, other, size, tiled, rng), rng)
    if settings.crop:
        sample = Crop(settings.crop)(sample, draws("crop"))
    affine = Affine(settings.degrees, settings.translate, settings.scale, settings.shear)
    sample = affine.onto(sample, size, draws("affine"))
    sample = HSV(settings.hue, settings.saturation, settings.value)(sample, draws("hsv"))
    if settings.randaugment:
        sample = RandAugment(settings.randaugment, settings.magnitude)(sample, draws("randaugment"))
    if settings.blur:
        sample = Blur(settings.blur)(sample, draws("blur"))
    if settings.noise:
        sample = Noise(settings.noise)(sample, draws("noise"))
    sample = Flip(settings.flip)(sample, draws("flip"))
    if settings.erase:
        sample = Erase(settings.erase)(sample, draws("erase"))
    return sample


def _canvas(load: Load, count: int, index: int, size: tuple[int, int], tiled: bool, rng: np.random.Generator) -> Sample:
    """A letterbox, or a mosaic with three partners on a canvas of twice the size.

    The affine step cuts the middle out of that canvas, so that objects keep their scale (as in YOLOv5).
    """
    if not tiled:
        return letterbox(load(index), size)
    four = [load(index), *(load(int(partner)) for partner in rng.integers(0, count, 3))]
    return mosaic(four, (2 * size[0], 2 * size[1]), rng)


def _partner(
    settings: AugmentRecipe, draws: Draws
) -> tuple[Callable[[Sample, Sample, np.random.Generator], Sample], np.random.Generator] | None:
    """Which of mixup and cutmix it is, if any, and its stream; mixup comes first."""
    for name, probability, mix in (("mixup", settings.mixup, mixup), ("cutmix", settings.cutmix, cutmix)):
        if probability and (rng := draws(name)).random() < probability:
            return mix, rng
    return None
