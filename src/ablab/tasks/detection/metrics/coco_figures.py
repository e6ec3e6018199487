"""COCO's twelve figures from COCO's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ablab.tasks.detection.formats.coco import read_detections, read_truth
from ablab.tasks.detection.metrics.meter import DetectionMeter

FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def evaluate_files(truth: Path, detections: Path) -> dict[str, float]:
    """The twelve figures in COCO's order, then `AP/<class>`; -1 where there is no truth, as pycocotools says.

    Raises DataError for files that cannot be read or do not fit each other.
    """
    instances = read_truth(truth)
    meter = DetectionMeter(instances.classes)
    meter.update(read_detections(detections, instances), instances.truths)
    scores = meter.score(meter.items(), {})
    names = [*FIGURES, *(f"AP/{name}" for name in instances.classes)]
    return {name: float(np.nan_to_num(scores[name][0], nan=-1.0)) for name in names}
