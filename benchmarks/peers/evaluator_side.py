"""One evaluator on COCO's files, in a process of its own: python evaluator_side.py NAME FOLDER

Prints JSON: seconds of loading and of evaluating (the process's first call), peak memory in MB, the twelve figures.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

Side = tuple[Callable[[Path], Any], Callable[[Any], list[float]]]


def ablab() -> Side:
    from ablab.tasks.detection.formats.coco import read_detections, read_truth
    from ablab.tasks.detection.metrics.coco_figures import FIGURES
    from ablab.tasks.detection.metrics.meter import DetectionMeter

    def load(folder: Path) -> Any:
        instances = read_truth(folder / "instances.json")
        return instances, read_detections(folder / "results.json", instances)

    def evaluate(loaded: Any) -> list[float]:
        instances, found = loaded
        meter = DetectionMeter(instances.classes)
        meter.update(found, instances.truths)
        scores = meter.score(meter.items(), {})
        return [float(np.nan_to_num(scores[name][0], nan=-1)) for name in FIGURES]

    return load, evaluate


def pycocotools() -> Side:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return coco_side(COCO, COCOeval)


def faster_coco_eval() -> Side:
    import faster_coco_eval as room

    return coco_side(room.COCO, room.COCOeval_faster)


def coco_side(coco: Any, evaluator: Any) -> Side:
    """What speaks pycocotools' language."""

    def load(folder: Path) -> Any:
        truth = coco(str(folder / "instances.json"))
        return truth, truth.loadRes(str(folder / "results.json"))

    def evaluate(loaded: Any) -> list[float]:
        evaluation = evaluator(*loaded, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return np.asarray(evaluation.stats[:12], float).tolist()

    return load, evaluate


def torchmetrics() -> Side:
    import torch
    from torchmetrics.detection import MeanAveragePrecision

    def tensors(entries: list[dict[str, Any]], also: dict[str, str]) -> dict[int, dict[str, torch.Tensor]]:
        """{image: boxes, labels and the named fields}."""
        by_image: dict[int, list[dict[str, Any]]] = {}
        for entry in entries:
            by_image.setdefault(entry["image_id"], []).append(entry)
        return {
            image: {
                "boxes": torch.tensor([e["bbox"] for e in own], dtype=torch.float64).reshape(-1, 4),
                "labels": torch.tensor([e["category_id"] for e in own]),
                **{name: torch.tensor([e[key] for e in own]) for name, key in also.items()},
            }
            for image, own in by_image.items()
        }

    def load(folder: Path) -> Any:
        data = json.loads((folder / "instances.json").read_bytes())
        truth = tensors(data["annotations"], {"iscrowd": "iscrowd", "area": "area"})
        found = tensors(json.loads((folder / "results.json").read_bytes()), {"scores": "score"})
        none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)}
        ids = [image["id"] for image in data["images"]]
        return [found.get(i, none | {"scores": torch.zeros(0)}) for i in ids], [truth.get(i, none) for i in ids]

    def evaluate(loaded: Any) -> list[float]:
        metric = MeanAveragePrecision(box_format="xywh", backend="faster_coco_eval")
        metric.update(*loaded)
        scores = metric.compute()
        names = ("map", "map_50", "map_75", "map_small", "map_medium", "map_large")
        names += ("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large")
        return [float(scores[name]) for name in names]

    return load, evaluate


SIDES = {"ablab": ablab, "pycocotools": pycocotools, "faster-coco-eval": faster_coco_eval, "torchmetrics": torchmetrics}


def main() -> None:
    """Measure one side."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    with contextlib.redirect_stdout(sys.stderr):
        load, evaluate = SIDES[name]()  # imports are not counted
        start = time.perf_counter()
        loaded = load(folder)
        between = time.perf_counter()
        figures = evaluate(loaded)
        end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    row = {"load": between - start, "evaluate": end - between, "peak_mb": peak, "figures": figures}
    print(json.dumps(row | {"version": version(name)}))


if __name__ == "__main__":
    main()
