"""What is wrong with a detector's data: all its readings together.

    annotations --letterbox--> labels --> balance, crowding, reach, places, anchors_fit
    images      --look-------> leaks
    evidence    -------------> suspicion, and how much of the error it explains

Each is a function of its own, for who wants one of them. Copies want every image decoded and suspicion wants a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablab.contracts import Items
from ablab.errors import DataError
from ablab.tasks.detection.diagnosis.anchors_fit import RATIO, AnchorFit, anchors_fit
from ablab.tasks.detection.diagnosis.balance import Balance, Crowding, balance, crowding
from ablab.tasks.detection.diagnosis.correction import Explained, explained
from ablab.tasks.detection.diagnosis.labels import Labels
from ablab.tasks.detection.diagnosis.places import Places, places
from ablab.tasks.detection.diagnosis.reach import Reach, reach
from ablab.tasks.detection.diagnosis.suspicion import KINDS, Suspect, suspects
from ablab.tasks.detection.formats.dataset import Dataset
from ablab.tasks.detection.metrics.average import counted

STRIDES = (8, 16, 32)  # of our detectors' levels
DOUBTFUL = 0.5  # suspicion from which a label is counted as doubtful


@dataclass(frozen=True)
class SplitReading:
    """One split's labels: over classes, over images, by size at the input, and by place."""

    balance: Balance
    crowding: Crowding
    reach: Reach
    places: Places


@dataclass(frozen=True)
class Suspicion:
    """The suspect labels of a split, ranked, and what they are worth.

    `doubtful` has for each kind the number of suspects of at least `DOUBTFUL`, and that number as a share of the
    split's labels (for `missing`, too). `ap50` is with the labels as they are; `explained` with the tops corrected.
    """

    split: str
    labels: int
    ranked: tuple[Suspect, ...]
    doubtful: dict[str, tuple[int, float]]
    ap50: float
    explained: tuple[Explained, ...]


@dataclass(frozen=True)
class DataReading:
    """What a data set is like for a detector with an input of `image_size` (H, W). `anchors` is the fit to train's
    labels, None where the head has none."""

    image_size: tuple[int, int]
    splits: dict[str, SplitReading]
    anchors: AnchorFit | None


def read_data(
    dataset: Dataset,
    image_size: tuple[int, int],
    anchors: np.ndarray | None = None,
    strides: Sequence[int] = STRIDES,
    ratio: float = RATIO,
) -> DataReading:
    """Read the labels of every split; no image is opened. `anchors` (L, A, 2) are those of the run's facts, `ratio` the
    assigner's."""
    labels = {split: Labels.of(images, image_size) for split, images in dataset.splits.items()}
    return DataReading(
        image_size,
        {
            split: SplitReading(
                balance(mine, dataset.classes),
                crowding(mine),
                reach(mine, dataset.classes, image_size, min(strides)),
                places(mine),
            )
            for split, mine in labels.items()
        },
        None if anchors is None else anchors_fit(labels["train"], dataset.classes, anchors, strides, ratio),
    )


def read_suspicion(items: Items, split: str) -> Suspicion:
    """Judge a split's labels by a run's evidence on it. Raises DataError for train, and where there is no label."""
    ranked = suspects(items, split)
    labels = int(counted(items).sum())
    if not labels:
        raise DataError(f"the evidence of {split} has no label that counts: there is nothing to judge")
    many = Counter(suspect.kind for suspect in ranked if suspect.suspicion >= DOUBTFUL)
    before, shares = explained(items, ranked)
    return Suspicion(split, labels, ranked, {k: (many[k], many[k] / labels) for k in KINDS}, before, shares)
