"""Figures over new images: the readings' side of the image bootstrap. `ablab.stats` draws and makes the intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ablab.contracts import Items
from ablab.errors import DataError

Range = tuple[float, float]


@dataclass(frozen=True)
class Resampling:
    """`weights` (B, images) are draws of image weights (`stats.image_weights`); `interval` takes a figure and its
    replicates (B,) to the ends of an interval (`stats.population([figure], replicates[:, None], groups).images`)."""

    weights: np.ndarray
    interval: Callable[[float, np.ndarray], Range]


def drawn(items: Items, over: Resampling | None) -> np.ndarray:
    """A row of ones, for the figure itself, then the draws.  (1 + B, images)

    Raises DataError for weights that do not fit the images.
    """
    images = len(items["images"])
    ones = np.ones((1, images))
    if over is None:
        return ones
    if over.weights.ndim != 2 or over.weights.shape[1] != images:
        raise DataError(f"expected weights of shape (B, {images} images), got {over.weights.shape}")
    return np.concatenate([ones, over.weights])


def range_of(figure: np.ndarray, over: Resampling | None) -> Range | None:
    """The interval of a figure and its replicates (1 + B,); None without resampling, or where one of them is NaN."""
    return None if over is None or np.isnan(figure).any() else over.interval(float(figure[0]), figure[1:])


def ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """A quotient that is NaN where there is nothing to divide by."""
    return np.divide(over, under, out=np.full(np.shape(over), np.nan), where=under > 0)
