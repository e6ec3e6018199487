"""What samplers promise: counts (images, classes) -> a `contracts.Sampling`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ablab.errors import ContractError
from ablab.streams import stream
from ablab.surgery.specimen import Specimen

IMAGES = 60


def counts() -> np.ndarray:
    """Objects (60 images, 4 classes): one class nearly everywhere, one in a third, one in two, one in none; one image
    has no object.
    """
    made = np.zeros((IMAGES, 4), np.int64)
    made[:-1, 0] = 5
    made[::3, 1] = 2
    made[7:9, 2] = 1
    return made


def epoch(sampler: Any, number: int = 0) -> np.ndarray:
    """One epoch's indices; equal numbers come from equal generators."""
    return np.asarray(sampler(counts()).draw(stream("sampler", number)))


def indices_in_range(part: Specimen) -> None:
    """Whole numbers that name an image each."""
    drawn = epoch(part.build())
    if drawn.dtype != np.int64 or drawn.ndim != 1:
        raise ContractError(f"expected indices (len,) int64, got {drawn.shape} {drawn.dtype}; draw indices of images")
    if len(drawn) and (drawn.min() < 0 or drawn.max() >= IMAGES):
        raise ContractError(
            f"it drew {drawn.min()} to {drawn.max()} of {IMAGES} images; indices run from 0 to {IMAGES - 1}"
        )


def every_epoch_as_long_as_declared(part: Specimen) -> None:
    """The schedule counts steps before the first epoch, so no epoch may be shorter or longer than another."""
    declared = len(part.build()(counts()))
    lengths = {len(epoch(part.build(), number)) for number in range(10)}
    if lengths != {declared} or not declared:
        raise ContractError(f"its epochs have {sorted(lengths)} samples, and its len is {declared}; keep to one length")


def equal_generators_draw_alike(part: Specimen) -> None:
    """Arms under one seed see the same images; another epoch has another order."""
    if not np.array_equal(epoch(part.build()), epoch(part.build())):
        raise ContractError("equal generators drew unlike epochs; draw from `rng` alone")
    if np.array_equal(epoch(part.build(), 0), epoch(part.build(), 1)):
        raise ContractError("two epochs came in one order; draw from `rng`")
