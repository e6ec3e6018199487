"""Synthetic detections of a source of images: objects that are found or missed, beside false alarms.

An object is found with probability sigmoid(skill + luck of the seed - difficulty of its image + luck of both). Images
of one group (a video) share most of their difficulty. All that is random comes from generators that are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablab.contracts import Items
from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.metrics.evidence import collect
from ablab.tasks.detection.metrics.meter import DetectionMeter

SIDE, STEP = 40.0, 100.0  # pixels: objects stand apart in a row
SEED_SD, GROUP_SD, IMAGE_SD, BOTH_SD = 0.15, 0.8, 0.5, 0.4  # on the scale of the logit
METER = DetectionMeter(["thing"])


@dataclass(frozen=True)
class Images:
    """What is in the images: a count of objects and a difficulty each; `groups` (I,) are labels."""

    objects: np.ndarray
    difficulty: np.ndarray
    groups: np.ndarray

    @staticmethod
    def draw(groups: int, each: int, rng: np.random.Generator) -> Images:
        """`groups` groups of `each` images."""
        labels = np.repeat(np.arange(groups), each)
        shared = GROUP_SD * rng.standard_normal(groups)[labels]
        own = IMAGE_SD * rng.standard_normal(len(labels))
        return Images(1 + rng.poisson(2.0, len(labels)), shared + own, labels)

    def truths(self) -> list[Truth]:
        """One truth an image."""
        return [self._truth(image, int(count)) for image, count in enumerate(self.objects)]

    @staticmethod
    def _truth(image: int, count: int) -> Truth:
        none = np.zeros(count, dtype=bool)
        area = np.full(count, SIDE**2)
        return Truth(str(image), _row(np.arange(count)), np.zeros(count, np.int64), area, none, none)


def _row(places: np.ndarray, shift: np.ndarray | float = 0.0) -> np.ndarray:
    """Boxes (N, 4) at places in a row, each shifted to the right by some pixels."""
    left = STEP * places + shift
    return np.stack([left, np.zeros(len(places)), left + SIDE, np.full(len(places), SIDE)], axis=1)


def run(images: Images, skill: float, rng: np.random.Generator, shift: float = 0.0) -> Items:
    """One training's evidence. `shift` moves the logit of every score: their order, and so AP, stays as it is."""
    ease = skill + SEED_SD * rng.standard_normal() - images.difficulty
    ease = ease + BOTH_SD * rng.standard_normal(len(ease))
    predictions = [
        _detect(int(count), float(each), rng, shift) for count, each in zip(images.objects, ease, strict=True)
    ]
    return collect(predictions, images.truths(), METER.classes, METER.max_detections)


def _detect(count: int, ease: float, rng: np.random.Generator, shift: float) -> Detections:
    found = np.flatnonzero(rng.random(count) < 1 / (1 + np.exp(-1 - ease)))
    alarms = rng.poisson(1.0)
    places = np.concatenate([found, count + np.arange(alarms)])
    logit = np.concatenate([ease + rng.standard_normal(len(found)), rng.standard_normal(alarms) - 1.5])
    scores = 1 / (1 + np.exp(-(logit + shift)))
    return Detections(_row(places, 3.0 * rng.standard_normal(len(places))), scores, np.zeros(len(places), np.int64))


def figures(items: Items, names: tuple[str, ...], settings: dict[str, float] | None = None) -> dict[str, float]:
    """Some metrics of one run."""
    return {name: float(x[0]) for name, x in METER.score(items, settings or {}, only=names).items()}
