"""Errors by class, size, aspect ratio, crowding and position: divisions of errors and of objects alike.

An error is where its object is (classification, localisation, missed), or else where its detection is, as in TIDE.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ablab.contracts import Items
from ablab.errors import DataError
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.diagnosis.errors import Errors, overlaps
from ablab.tasks.detection.diagnosis.places import AT_BORDER, CENTRAL
from ablab.tasks.detection.metrics.average import counted

SIZES = (32.0**2, 96.0**2)  # pixels: COCO's; the end belongs to the smaller
ASPECTS = (0.75, 1.33)  # width over height: tidecv's qualifiers; the end belongs to the narrower


@dataclass(frozen=True)
class Division:
    """Slices of everything: their names (S,), the slice of each error (E,) and of each truth (G,)."""

    names: tuple[str, ...]
    of_error: np.ndarray
    of_truth: np.ndarray


@dataclass(frozen=True)
class Places:
    """Boxes (N, 4) float64 with their areas (N,), labels (N,), rows of images (N,), and of their own truths (N,)."""

    boxes: np.ndarray
    area: np.ndarray
    label: np.ndarray
    image: np.ndarray
    truth: np.ndarray


def divisions(items: Items, errors: Errors, sizes: np.ndarray | None = None) -> dict[str, Division]:
    """The divisions by name; `position` only where the images' `sizes` (I, 2) are given, width and height in pixels."""
    wrong, real = _of_errors(items, errors), _of_truths(items)

    def by(names: tuple[str, ...], slice_of: Callable[[Places], np.ndarray]) -> Division:
        return Division(names, slice_of(wrong), slice_of(real))

    made = {
        "class": by(tuple(items["classes"].tolist()), lambda of: of.label),
        "size": by(("small", "medium", "large"), lambda of: np.searchsorted(SIZES, of.area)),
        "aspect": by(("tall", "square", "wide"), lambda of: np.searchsorted(ASPECTS, _aspect(of.boxes))),
        "crowding": by(("alone", "one neighbour", "several neighbours"), lambda of: neighbours(items, of).clip(max=2)),
    }
    if sizes is not None:
        made["position"] = by(("centre", "between", "at the border"), lambda of: _position(of.boxes, sizes[of.image]))
    return made


def image_sizes(items: Items, annotations: Mapping[str, Annotation]) -> np.ndarray:
    """Width and height of each image of the evidence, (I, 2), from a split's annotations by image id.

    Raises DataError for an image that the annotations do not have.
    """
    names = items["images"].tolist()
    missing = [name for name in names if name not in annotations]
    if missing:
        raise DataError(
            f"the evidence has {len(missing)} of {len(names)} images that the data set does not have, such as "
            f"'{missing[0]}'; give the data set and the split that the run was evaluated on"
        )
    return np.array([(annotations[name].width, annotations[name].height) for name in names], float).reshape(-1, 2)


def neighbours(items: Items, of: Places) -> np.ndarray:
    """How many truths that count share area with each box, its own truth left out.  (N,)"""
    counts = np.zeros(len(of.image), np.int64)
    truths = np.flatnonzero(counted(items))
    for image in np.unique(of.image).tolist():
        mine, others = np.flatnonzero(of.image == image), truths[items["truth_image"][truths] == image]
        touching = overlaps(of.boxes[mine], items["truth_box"][others]) > 0
        counts[mine] = (touching & (of.truth[mine, None] != others)).sum(axis=1)
    return counts


def _of_errors(items: Items, errors: Errors) -> Places:
    about = errors.about_truth

    def pick(truths: np.ndarray, detections: np.ndarray) -> np.ndarray:
        made = np.empty((len(errors), *truths.shape[1:]), truths.dtype)
        made[about], made[~about] = truths[errors.truth[about]], detections[errors.detection[~about]]
        return made

    found = items["detection_box"].astype(np.float64)
    return Places(
        pick(items["truth_box"], found),
        pick(items["truth_area"], (found[:, 2:] - found[:, :2]).prod(axis=1)),
        pick(items["truth_label"], items["detection_label"]),
        errors.image,
        errors.truth,
    )


def _of_truths(items: Items) -> Places:
    count = len(items["truth_label"])
    return Places(items["truth_box"], items["truth_area"], items["truth_label"], items["truth_image"], np.arange(count))


def _aspect(boxes: np.ndarray) -> np.ndarray:
    """Width over height; 1 for a box without height.  (N, 4) -> (N,)"""
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    return np.divide(width, height, out=np.ones(len(boxes)), where=height > 0)


def _position(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """0 with its centre in the middle half each way, 2 touching a border (probably cut off), 1 between.  (N,)"""
    shares = boxes / np.tile(sizes, 2)
    middle = (shares[:, :2] + shares[:, 2:]) / 2
    central = ((middle >= CENTRAL[0]) & (middle < CENTRAL[1])).all(axis=1)
    touches = (shares[:, :2] <= AT_BORDER).any(axis=1) | (shares[:, 2:] >= 1 - AT_BORDER).any(axis=1)
    return np.where(touches, 2, np.where(central, 0, 1))
