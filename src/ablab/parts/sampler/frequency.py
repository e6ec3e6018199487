"""How common classes are."""

from __future__ import annotations

import numpy as np

from ablab.errors import DataError


def frequency(counts: np.ndarray) -> np.ndarray:
    """The share of images that hold each class; 1 for a class that none holds, which nothing can be done about.

    (images, classes) objects -> (classes,).  Raises DataError where no image holds anything.
    """
    present = (counts > 0).sum(axis=0)
    if not present.any():
        raise DataError("no image of the training split has an object, so there is nothing to balance")
    return np.where(present > 0, present, len(counts)) / len(counts)
