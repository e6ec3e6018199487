"""The meter of detection: AP, AR, precision, recall and F1 from evidence that is matched once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ablab.contracts import Items, Settings
from ablab.errors import DataError, Diverged, UnknownName
from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.metrics.average import precision_recall
from ablab.tasks.detection.metrics.evidence import collect
from ablab.tasks.detection.metrics.figures import averages, figures
from ablab.tasks.detection.metrics.settings import CAPS, MAX_DETECTIONS, RECALLS
from ablab.tasks.detection.metrics.threshold import (
    best_threshold,
    class_thresholds,
    operating_points,
    places,
    threshold_curves,
)


class DetectionMeter:
    """COCO's figures, equal to pycocotools' to 1e-9, and precision, recall and F1 at IoU 0.5.

    Names: AP (IoU 0.5 to 0.95), AP50, AP75; APs, APm, APl by area of the truth; AR1, AR10, AR100 for so many detections
    of a class in an image; ARs, ARm, ARl; `AP/<class>` and `AP50/<class>`; `precision`, `recall`, `F1` (mean of
    per-class F1) and `F1_of_means` at `settings["threshold"]`, and as `F1@0.5` and so on at fixed scores.

    A figure without any truth to count is NaN (pycocotools says -1). Unlike pycocotools, truths marked `ignore` (VOC's
    difficult ones) are ignored, each for one detection; crowds are ignored for any number of them.
    """

    def __init__(self, classes: Sequence[str], max_detections: int = MAX_DETECTIONS) -> None:
        if not classes or len(set(classes)) != len(classes):
            raise DataError(f"a meter wants at least one class, each named once; got {list(classes)}")
        self.classes, self.max_detections = tuple(classes), max_detections
        self._predictions: list[Detections] = []
        self._truths: dict[str, Truth] = {}

    def update(self, predictions: Sequence[Detections], truth: Sequence[Truth]) -> None:
        """Take one batch: one prediction and one truth an image.

        Raises DataError for lengths or labels that do not fit or an image that came before; Diverged for scores or
        boxes that are no numbers.
        """
        if len(predictions) != len(truth):
            raise DataError(f"expected one prediction an image, got {len(predictions)} for {len(truth)} images")
        for found, real in zip(predictions, truth, strict=True):
            if real.image in self._truths:
                raise DataError(f"the image '{real.image}' came twice; every image counts once")
            self._check(found.labels, found.boxes, f"detections on '{real.image}'")
            self._check(real.labels, real.boxes, f"truth of '{real.image}'")
            if len(found.scores) != len(found.labels):
                raise DataError(f"'{real.image}' has {len(found.scores)} scores for {len(found.labels)} labels")
            if not (np.isfinite(found.scores).all() and np.isfinite(found.boxes).all()):
                raise Diverged(f"a score or box on '{real.image}' is NaN or infinite: the network has diverged")
            self._truths[real.image] = real
            self._predictions.append(found)

    def _check(self, labels: np.ndarray, boxes: np.ndarray, what: str) -> None:
        if np.shape(boxes) != (len(labels), 4):
            raise DataError(f"{what}: expected boxes of shape ({len(labels)}, 4), got {np.shape(boxes)}")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise DataError(
                f"{what}: labels {labels.min()} to {labels.max()} do not fit the {len(self.classes)} classes"
            )

    def items(self) -> Items:
        """Per-image evidence of everything seen so far; `evidence.py` lists the columns."""
        return collect(self._predictions, list(self._truths.values()), self.classes, self.max_detections)

    def choose(self, items: Items) -> Settings:
        """The threshold of the highest mean per-class F1, and as `threshold/<class>` that of each class's own F1.

        Ties go to the highest. Figures are taken at the first (`score`); a detector is used at those of its classes,
        and at the first where a class has none. Give it validation's evidence.
        """
        own = {f"threshold/{name}": threshold for name, threshold in class_thresholds(items).items()}
        return {"threshold": best_threshold(items)} | own

    def score(
        self, items: Items, settings: Settings, weights: np.ndarray | None = None, only: Collection[str] = ()
    ) -> dict[str, np.ndarray]:
        """Every metric, or `only` some, under image weights (B, images): {name: (B,)}.

        An integer weight is an image so many times. (With equal scores of one class in one image pycocotools would
        interleave the copies; here they stay together.) Without a chosen threshold in `settings`, the figures at one
        are left out. Raises DataError for weights that do not fit, UnknownName for a metric that there is not.
        """
        self._same_classes(items)
        weights = _weights(weights, len(items["images"]))
        caps = (*(cap for cap in CAPS if cap < self.max_detections), self.max_detections)
        averaged, operating = figures(self.classes, caps), places(settings)
        for name in only:
            if name not in averaged and name not in operating:
                raise UnknownName("metric", name, [*averaged, *operating])
        if only:
            averaged = {name: averaged[name] for name in only if name in averaged}
            operating = {name: operating[name] for name in only if name in operating}
        return averages(items, weights, averaged, caps) | operating_points(items, operating, weights)

    def curves(self, items: Items, settings: Settings) -> dict[str, Any]:
        """Plain lists: "pr" at IoU 0.5 over 101 recalls, for each class with a truth and their mean; "f1" over scores.

        {"pr": {"recall", "precision": {class: [...]}, "mean"}, "f1": {"threshold", "F1", "precision", "recall",
        "F1_of_means"}, "chosen": the threshold or None}
        """
        self._same_classes(items)
        precision, _ = precision_recall(items, np.ones(len(items["images"])), (self.max_detections,))
        lines = precision[0, :, 0]  # (K, 101)
        present = {name: line for name, line in zip(self.classes, lines, strict=True) if not np.isnan(line[0])}
        mean = np.mean(list(present.values()), axis=0).tolist() if present else [float("nan")] * len(RECALLS)
        return {
            "pr": {
                "recall": RECALLS.tolist(),
                "precision": {name: line.tolist() for name, line in present.items()},
                "mean": mean,
            },
            "f1": threshold_curves(items, np.linspace(0, 1, 101)),
            "chosen": settings.get("threshold"),
        }

    def _same_classes(self, items: Items) -> None:
        if tuple(items["classes"].tolist()) != self.classes:
            raise DataError(f"the evidence is of the classes {items['classes'].tolist()}, not {list(self.classes)}")


def _weights(weights: np.ndarray | None, images: int) -> np.ndarray:
    if weights is None:
        return np.ones((1, images))
    weights = np.ascontiguousarray(weights, np.float64)
    if weights.ndim != 2 or weights.shape[1] != images:
        raise DataError(f"expected weights of shape (B, {images} images), got {weights.shape}")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise DataError("image weights are finite and not negative; these are not")
    return weights
