"""A detector's evidence on labels whose faults are known: drawn, not trained.

The detector finds 95% of the objects, places a side to within 3%, names 97% rightly, and gives two false positives an
image. Faults are planted in the labels alone, so that it never repeats one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablab.contracts import Items
from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.metrics.meter import DetectionMeter

CLASSES = ("cell", "seed", "grain")
WIDTH, HEIGHT, EACH = 640, 480, 8


@dataclass(frozen=True)
class Planted:
    """`boxes` (N, 4) of all labels with their images and classes; `wrong` (N,) says which have a fault; `removed` are
    the (image, box) of objects whose label was taken away."""

    items: Items
    clean: Items
    wrong: dict[tuple[str, tuple[float, ...]], str]
    removed: list[tuple[str, np.ndarray]]


def plant(seed: int, fault: str = "", share: float = 0.1, images: int = 60, spread: float = 0.03) -> Planted:
    """Evidence with one kind of fault in a share of the labels: missing, class, place, spurious or none."""
    rng = np.random.default_rng(seed)
    meter, honest = DetectionMeter(CLASSES), DetectionMeter(CLASSES)
    wrong: dict[tuple[str, tuple[float, ...]], str] = {}
    removed = []
    for image in range(images):
        name = f"i{image:03}"
        boxes, labels = _objects(rng)
        found = _detections(rng, boxes, labels, spread)
        honest.update([found], [_truth(name, boxes, labels)])
        hit = rng.random(len(boxes)) < share if fault else np.zeros(len(boxes), bool)
        told, named = boxes.copy(), labels.copy()
        if fault == "class":
            named[hit] = (labels[hit] + rng.integers(1, len(CLASSES), hit.sum())) % len(CLASSES)
        elif fault == "place":
            sides = boxes[hit, 2:] - boxes[hit, :2]
            told[hit] += np.tile(sides * rng.choice((-0.25, 0.25), (hit.sum(), 2)), 2)  # IoU 0.39 with the object
        elif fault == "missing":
            removed += [(name, box) for box in boxes[hit]]
            told, named = boxes[~hit], labels[~hit]
        elif fault == "spurious":
            extra = _objects(rng)[0][: hit.sum()]
            extra = extra[[not _meets(box, boxes) for box in extra]] if len(extra) else extra
            wrong |= {(name, tuple(box)): fault for box in extra.tolist()}
            told = np.concatenate([boxes, extra])
            named = np.concatenate([labels, rng.integers(0, len(CLASSES), len(extra))])
        if fault in ("class", "place"):
            wrong |= {(name, tuple(box)): fault for box in told[hit].tolist()}
        meter.update([found], [_truth(name, told, named)])
    return Planted(meter.items(), honest.items(), wrong, removed)


def _objects(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Objects of 24 to 80 pixels that do not cover one another; half of them are cells.  -> (N, 4), (N,)"""
    boxes: list[np.ndarray] = []
    for _ in range(EACH):
        size = rng.uniform(24, 80) * np.array([rng.uniform(0.8, 1.2), 1])
        corner = rng.uniform(0, np.array([WIDTH, HEIGHT]) - size)
        box = np.concatenate([corner, corner + size])
        if not boxes or not _meets(box, np.array(boxes)):
            boxes.append(box)
    return np.array(boxes), rng.choice(len(CLASSES), len(boxes), p=(0.5, 0.3, 0.2))


def _meets(box: np.ndarray, others: np.ndarray) -> bool:
    return bool(((others[:, :2] < box[2:]) & (others[:, 2:] > box[:2])).all(axis=1).any())


def _detections(rng: np.random.Generator, boxes: np.ndarray, labels: np.ndarray, spread: float) -> Detections:
    seen = rng.random(len(boxes)) < 0.95
    sides = np.tile(boxes[seen, 2:] - boxes[seen, :2], 2)
    placed = boxes[seen] + rng.normal(0, spread, (seen.sum(), 4)) * sides
    named = np.where(rng.random(seen.sum()) < 0.97, labels[seen], rng.integers(0, len(CLASSES), seen.sum()))
    noise, _ = _objects(rng)
    noise = noise[: rng.poisson(2)]
    found = np.concatenate([placed, noise])
    score = np.concatenate([rng.beta(8, 2, len(placed)), rng.beta(2, 6, len(noise))])
    label = np.concatenate([named, rng.integers(0, len(CLASSES), len(noise))])
    order = np.argsort(-score)
    return Detections(found[order], score[order], label[order])


def _truth(name: str, boxes: np.ndarray, labels: np.ndarray) -> Truth:
    none = np.zeros(len(boxes), bool)
    return Truth(name, boxes, labels, (boxes[:, 2:] - boxes[:, :2]).prod(axis=1), none, none)
