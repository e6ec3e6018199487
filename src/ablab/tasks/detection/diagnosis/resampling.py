"""Figures over new images: the image bootstrap.

Weights are exponential, one a group of images (Rubin 1981, "The Bayesian bootstrap"), as in `ablab.stats`, which a task
may not import; intervals are the replicates' percentiles, as counts and shares are skewed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ablab.contracts import Items
from ablab.errors import DataError

Range = tuple[float, float]
FEWEST_GROUPS = 10  # groups of images, as in `ablab.stats`: of fewer, their spread is hardly known
LEVELS = (0.025, 0.975)


@dataclass(frozen=True)
class Resampling:
    """`weights` (B, images) are draws of image weights (`stats.image_weights`); `interval` takes a figure and its
    replicates (B,) to the ends of an interval (`stats.population([figure], replicates[:, None], groups).images`)."""

    weights: np.ndarray
    interval: Callable[[float, np.ndarray], Range]


def resampling(items: Items, replicates: int, rng: np.random.Generator) -> Resampling | None:
    """`replicates` draws over the evidence's groups of images, and 95% intervals; None for less than two draws, or for
    so few groups that nothing can be said of new images.

    The percentiles' distance from the figure is widened by sqrt((G + 1) / (G - 1)): Dirichlet weights understate the
    variance of a mean over G groups by that much, squared.
    """
    alone = items["groups"] == ""  # an image by itself is a group of its own
    named = np.where(alone, np.char.add("image ", items["images"]), np.char.add("group ", items["groups"]))
    _, member = np.unique(named, return_inverse=True)
    groups = int(member.max(initial=-1)) + 1
    if replicates < 2 or groups < FEWEST_GROUPS:
        return None
    weights = rng.exponential(size=(replicates, groups))[:, member.ravel()]
    wider = math.sqrt((groups + 1) / (groups - 1))

    def interval(figure: float, values: np.ndarray) -> Range:
        low, high = np.quantile(values, LEVELS)
        return figure + wider * float(low - figure), figure + wider * float(high - figure)

    return Resampling(weights / weights.mean(axis=1, keepdims=True), interval)


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
