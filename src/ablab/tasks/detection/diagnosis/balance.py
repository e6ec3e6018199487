"""How evenly a split's labels are spread over classes, and over images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablab.tasks.detection.diagnosis.labels import Labels


@dataclass(frozen=True)
class Balance:
    """How many labels each class has, and how unevenly.

    `gini` is Gini's coefficient of the counts: 0 where all classes are alike, (K - 1) / K where one has everything.
    `effective` is the number of equally frequent classes with the same entropy, exp(H): Hill's number of order 1 (Hill
    1973, "Diversity and evenness", equation 2). `imbalance` is the largest count over the smallest, infinite where a
    class has none. All three are NaN where there is no label.
    """

    classes: tuple[str, ...]
    counts: tuple[int, ...]
    gini: float
    effective: float
    imbalance: float

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes without a label."""
        return tuple(name for name, count in zip(self.classes, self.counts, strict=True) if not count)


@dataclass(frozen=True)
class Crowding:
    """Labels an image: least, median, mean and most, the share of images without any, and images by their number."""

    images: int
    least: int
    median: float
    mean: float
    most: int
    empty: float
    histogram: tuple[tuple[int, int], ...]


def balance(labels: Labels, classes: tuple[str, ...]) -> Balance:
    """Class balance of some labels."""
    counts = np.bincount(labels.label, minlength=len(classes))
    total = counts.sum()
    nan = float("nan")
    return Balance(
        classes,
        tuple(counts.tolist()),
        gini(counts) if total else nan,
        effective(counts) if total else nan,
        float(counts.max() / counts.min() if counts.min() else np.inf) if total else nan,
    )


def gini(counts: np.ndarray) -> float:
    """Gini's coefficient: half the mean absolute difference of all pairs, over the mean.  (K,) -> 0..(K - 1) / K

    By the sorted form, sum (2 i - K - 1) x_i / (K sum x) (Gini 1912; the form is e.g. Dixon et al. 1987, equation 3).
    """
    ordered, count = np.sort(counts), len(counts)
    return float(((2 * np.arange(1, count + 1) - count - 1) * ordered).sum() / (count * ordered.sum()))


def effective(counts: np.ndarray) -> float:
    """exp of the entropy of the counts' shares.  (K,) -> 1..K"""
    share = counts[counts > 0] / counts.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def crowding(labels: Labels) -> Crowding:
    """Labels an image; an image without any counts. All NaN or 0 where there is no image."""
    counts = np.bincount(labels.image, minlength=len(labels.ids))
    if not len(counts):
        return Crowding(0, 0, float("nan"), float("nan"), 0, float("nan"), ())
    numbers, images = np.unique(counts, return_counts=True)
    return Crowding(
        len(counts),
        int(counts.min()),
        float(np.median(counts)),
        float(counts.mean()),
        int(counts.max()),
        float((counts == 0).mean()),
        tuple(zip(numbers.tolist(), images.tolist(), strict=True)),
    )
