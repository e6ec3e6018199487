"""How large the objects are at the chosen input size, and which size would make them large enough.

An object's size is sqrt(width x height) in pixels of the network's input, after letterboxing: the side of a square of
its area, as in COCO's small, medium and large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ablab.errors import ConfigError
from ablab.tasks.detection.augment.letterbox import STRIDE
from ablab.tasks.detection.diagnosis.labels import Labels, scales

FEW_PIXELS = 4.0  # pixels: a square of 16 of them; less is hardly told from noise
LIMITS = (FEW_PIXELS, 8.0, 16.0, 32.0)  # pixels; 32 is where COCO's small objects end (cocodataset.org)
LIFTED = 0.9  # share of the objects that an input size has to lift
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Lift:
    """The smallest input size (H, W) at which `share` of the objects have `pixels` or more.

    `factor` is by how much its sides are those of the chosen one. `enlarged` is the share of images that it shows
    larger than they are: they gain cells to stand in, but no detail.
    """

    pixels: float
    share: float
    size: tuple[int, int]
    factor: float
    enlarged: float


@dataclass(frozen=True)
class Reach:
    """Sizes of objects in pixels of the input `image_size` (H, W).

    `quantiles` are (share, pixels); `below` are (pixels, share of objects smaller than that); `below_stride` is the
    share smaller than the smallest stride, which have less than one cell to themselves, and `by_class` the same of each
    class beside its median size: (class, median in pixels, share). NaN where there is no object. `lifts` has one input
    size for each of `LIMITS`, and none where there is no object.
    """

    image_size: tuple[int, int]
    stride: int
    objects: int
    quantiles: tuple[tuple[float, float], ...]
    below: tuple[tuple[float, float], ...]
    below_stride: float
    by_class: tuple[tuple[str, float, float], ...]
    lifts: tuple[Lift, ...]


def reach(labels: Labels, classes: tuple[str, ...], image_size: tuple[int, int], stride: int) -> Reach:
    """Sizes of labels that were made for `image_size`, against the smallest `stride` of the network."""
    side = labels.side
    own = [side[labels.label == label] for label in range(len(classes))]
    return Reach(
        image_size,
        stride,
        len(side),
        tuple((q, float(np.quantile(side, q)) if len(side) else float("nan")) for q in QUANTILES),
        tuple((limit, _share(side < limit)) for limit in LIMITS),
        _share(side < stride),
        tuple(
            (name, float(np.median(sizes)) if len(sizes) else float("nan"), _share(sizes < stride))
            for name, sizes in zip(classes, own, strict=True)
        ),
        tuple(lift(labels, image_size, limit) for limit in LIMITS) if len(side) else (),
    )


def lift(labels: Labels, image_size: tuple[int, int], pixels: float, share: float = LIFTED) -> Lift:
    """The smallest input of about the same aspect, in whole strides of 32, at which `share` of objects reach `pixels`.

    Sizes grow with the input, so one order statistic decides: the object that at most 1 - `share` are smaller than.
    Raises ConfigError where there is no object, or one without area decides.
    """
    ordered = np.sort(labels.side)
    allowed = math.floor((1 - share) * len(ordered) + 1e-9)  # so many may stay smaller; 0.1 * 10 is to be 1
    if allowed >= len(ordered) or ordered[allowed] <= 0:
        raise ConfigError(
            f"no input size lifts {share:.0%} of {len(ordered)} objects above {pixels:g} pixels: there are none, or "
            "some have no area; run `ablab data check`"
        )
    factor = pixels / ordered[allowed]
    height, width = (STRIDE * math.ceil(factor * side / STRIDE - 1e-9) for side in image_size)
    return Lift(pixels, share, (height, width), float(factor), _share(scales(labels.shapes, (height, width)) > 1))


def _share(hits: np.ndarray) -> float:
    return float(hits.mean()) if len(hits) else float("nan")
