"""The reading of errors: how many of each kind, where, and how much AP50 each costs, with intervals over images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ablab.contracts import Items
from ablab.errors import DataError
from ablab.tasks.detection.diagnosis.errors import KINDS, MISSED, Errors, find_errors
from ablab.tasks.detection.diagnosis.fixes import SPECIAL, Oracle
from ablab.tasks.detection.diagnosis.resampling import Range, Resampling, drawn, range_of
from ablab.tasks.detection.diagnosis.slices import divisions
from ablab.tasks.detection.metrics.average import counted


@dataclass(frozen=True)
class Cost:
    """One kind of error, over everything (`by` and `part` are "") or in one slice of a division.

    `objects` is how many objects that count stand there; `count` the errors at the threshold, `at_any_score` those
    among all detections, which the cost is of. `ap50` is what AP50 gains by the oracle, a fraction: at most this much
    is to be won. Intervals are over new images; None where no weights were given.
    """

    kind: str
    by: str
    part: str
    objects: int
    count: int
    at_any_score: int
    ap50: float
    count_interval: Range | None = None
    ap50_interval: Range | None = None


@dataclass(frozen=True)
class ErrorReading:
    """AP50 (a fraction), the score at which errors are counted, how many images, images without objects and objects,
    and every cost: kinds in the order of `KINDS`, the special ones, then the slices."""

    ap50: float
    threshold: float
    images: int
    images_without_objects: int
    objects: int
    costs: tuple[Cost, ...]

    def of(self, kind: str, by: str = "", part: str = "") -> Cost:
        """The cost of a kind, in a slice where one is named. Raises KeyError where there is none."""
        for cost in self.costs:
            if (cost.kind, cost.by, cost.part) == (kind, by, part):
                return cost
        raise KeyError((kind, by, part))


def read_errors(
    items: Items, threshold: float, sizes: np.ndarray | None = None, over: Resampling | None = None
) -> ErrorReading:
    """Count errors at `threshold` and cost them over all scores (TIDE), over everything and by slice.

    `sizes` (I, 2) are the images' width and height (`image_sizes`), without which there is no division by position;
    `over` gives intervals. The evidence is matched already: nothing is matched again under weights. Raises DataError
    for weights or sizes that do not fit the images.
    """
    images = len(items["images"])
    if sizes is not None and sizes.shape != (images, 2):
        raise DataError(f"expected sizes of shape ({images} images, 2), got {sizes.shape}")
    return _Reader(items, threshold, over).read(sizes)


class _Reader:
    """`shown` are the errors at the threshold, `every` those at any score; the first row of weights is ones."""

    def __init__(self, items: Items, threshold: float, over: Resampling | None) -> None:
        self.items, self.threshold, self.over = items, threshold, over
        self.weights = drawn(items, over)
        self.shown, self.every = find_errors(items, threshold), find_errors(items)
        self.oracle = Oracle(items, self.every, self.weights)
        self.wanted = counted(items)

    def read(self, sizes: np.ndarray | None) -> ErrorReading:
        images, objects = len(self.items["images"]), int(self.wanted.sum())
        with_objects = len(np.unique(self.items["truth_image"][self.wanted]))
        costs = [self._cost(kind, "", "", objects, _is(self.shown, kind), _is(self.every, kind)) for kind in KINDS]
        for name in SPECIAL:
            here, anywhere = _special(self.shown, name), _special(self.every, name)
            costs.append(self._made(name, "", "", objects, here, anywhere, self.oracle.special(name)))
        costs += self._slices(sizes)
        return ErrorReading(
            float(self.oracle.ap50[0]), self.threshold, images, images - with_objects, objects, tuple(costs)
        )

    def _slices(self, sizes: np.ndarray | None) -> Iterator[Cost]:
        shown, every = divisions(self.items, self.shown, sizes), divisions(self.items, self.every, sizes)
        for by, division in every.items():
            for row, part in enumerate(division.names):
                objects = int((self.wanted & (division.of_truth == row)).sum())
                here, anywhere = shown[by].of_error == row, division.of_error == row
                for kind in KINDS:
                    yield self._cost(
                        kind, by, part, objects, here & _is(self.shown, kind), anywhere & _is(self.every, kind)
                    )

    def _cost(self, kind: str, by: str, part: str, objects: int, here: np.ndarray, anywhere: np.ndarray) -> Cost:
        return self._made(kind, by, part, objects, here, anywhere, self.oracle.cost(anywhere))

    def _made(
        self, kind: str, by: str, part: str, objects: int, here: np.ndarray, anywhere: np.ndarray, ap50: np.ndarray
    ) -> Cost:
        """A cost from the errors `here` at the threshold, `anywhere` on the scale of scores, and its gain (1 + B,)."""
        counts = self.weights @ np.bincount(self.shown.image[here], minlength=self.weights.shape[1])
        count, at_any_score = int(here.sum()), int(anywhere.sum())
        ranges = range_of(counts, self.over), range_of(ap50, self.over)
        return Cost(kind, by, part, objects, count, at_any_score, float(ap50[0]), *ranges)


def _is(errors: Errors, kind: str) -> np.ndarray:
    return errors.kind == KINDS.index(kind)


def _special(errors: Errors, name: str) -> np.ndarray:
    """Every wrong detection is a false positive; every object that was not found, repaired or not, a false negative."""
    return errors.kind != MISSED if name == SPECIAL[0] else errors.repaired | (errors.kind == MISSED)
