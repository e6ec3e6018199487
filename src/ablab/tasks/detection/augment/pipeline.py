"""The order of the augmentations: mosaic or letterbox, affine, colour, flip."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ablab.tasks.detection.augment.affine import affine
from ablab.tasks.detection.augment.flip import flip
from ablab.tasks.detection.augment.hsv import hsv
from ablab.tasks.detection.augment.letterbox import letterbox
from ablab.tasks.detection.augment.mosaic import mosaic
from ablab.tasks.detection.boxes import Sample
from ablab.tasks.detection.recipe import AugmentRecipe


def augment(
    load: Callable[[int], Sample],
    count: int,
    index: int,
    size: tuple[int, int],
    settings: AugmentRecipe,
    rng: np.random.Generator,
) -> Sample:
    """Sample `index` of the `count` that `load` knows, augmented to `size` (H, W).

    The mosaic is laid on a canvas of twice the size, of which the affine step cuts the middle, so that objects keep
    their scale (as in YOLOv5). Its three partners come from `rng` too: the result depends on nothing else.
    """
    luck = rng.random()
    partners = rng.integers(0, count, 3)
    if luck < settings.mosaic:
        four = [load(index), *(load(int(partner)) for partner in partners)]
        sample = mosaic(four, (2 * size[0], 2 * size[1]), rng)
    else:
        rng.random(2)  # the mosaic's joint, so that what follows does not depend on `luck`
        sample = letterbox(load(index), size)
    sample = affine(sample, size, settings, rng)
    sample = hsv(sample, settings, rng)
    return flip(sample, settings.flip, rng)
