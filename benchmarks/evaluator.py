"""The evaluator side by side with pycocotools (and faster-coco-eval where it is installed), on synthetic detections.

    python benchmarks/evaluator.py --images 2000 --classes 20 --replicates 50

Times are from arrays in memory, after one warm call: matching, the twelve figures, and re-scoring under image weights.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ablab.streams import stream
from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.metrics.coco_figures import FIGURES
from ablab.tasks.detection.metrics.meter import DetectionMeter
from results import write


def synthetic(images: int, classes: int, most: int) -> tuple[list[Truth], list[Detections]]:
    """About seven truths an image, each found by a few detections, and noise up to `most` detections an image."""
    rng = stream("benchmark", images, classes)
    truths, detections = [], []
    for image in range(images):
        n = int(rng.poisson(7))
        side = 10 ** rng.uniform(0.9, 2.5, (n, 2))
        start = rng.uniform(0, 480, (n, 2))
        boxes, labels = np.hstack([start, start + side]), rng.integers(0, classes, n)
        none = np.zeros(n, bool)
        truths.append(Truth(str(image), boxes, labels, side.prod(1), none, rng.random(n) < 0.01))
        near = rng.integers(0, n, min(3 * n, most // 2)) if n else np.zeros(0, int)
        far = int(rng.integers(0, most - len(near) + 1))
        shifted = boxes[near] + rng.normal(0, 0.08, (len(near), 4)) * np.tile(side[near], 2)
        corner, size = rng.uniform(0, 480, (far, 2)), 10 ** rng.uniform(0.9, 2.5, (far, 2))
        found = np.vstack([shifted, np.hstack([corner, corner + size])])
        scores = np.concatenate([rng.beta(2, 2, len(near)), rng.beta(0.4, 4, far)])
        named = np.concatenate([labels[near], rng.integers(0, classes, far)])
        sane = (found[:, 2:] > found[:, :2]).all(1)
        detections.append(Detections(found[sane], scores[sane], named[sane]))
    return truths, detections


def coco_form(truths: list[Truth], detections: list[Detections], classes: int) -> tuple[dict[str, Any], np.ndarray]:
    """The same as COCO's mapping and as rows (image, x, y, w, h, score, category)."""

    def xywh(boxes: np.ndarray) -> np.ndarray:
        return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])

    annotations = [
        {"image_id": i, "category_id": int(k) + 1, "bbox": box, "area": float(size), "iscrowd": int(crowd)}
        for i, t in enumerate(truths)
        for k, box, size, crowd in zip(t.labels, xywh(t.boxes).tolist(), t.area, t.crowd, strict=True)
    ]
    rows = [
        np.column_stack([np.full(len(d), i), xywh(d.boxes), d.scores, d.labels + 1]) for i, d in enumerate(detections)
    ]
    data = {
        "info": {},
        "images": [{"id": i} for i in range(len(truths))],
        "annotations": [a | {"id": i + 1} for i, a in enumerate(annotations)],
        "categories": [{"id": k + 1, "name": str(k)} for k in range(classes)],
    }
    return data, np.concatenate(rows)


def reference(data: dict[str, Any], rows: np.ndarray, coco: Any, evaluator: Any) -> tuple[float, np.ndarray]:
    """Seconds and the twelve figures of pycocotools or of one that takes its place; loading is not counted."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco()
        truth.dataset = data
        truth.createIndex()
        found = truth.loadRes(rows)
        evaluation = evaluator(truth, found, "bbox")
        start = time.perf_counter()
        evaluation.evaluate()
        evaluation.accumulate()
        seconds = time.perf_counter() - start
        evaluation.summarize()
    return seconds, np.array(evaluation.stats[:12])


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    value = function()
    return time.perf_counter() - start, value


def ours(truths: list[Truth], detections: list[Detections], classes: int, replicates: int) -> dict[str, Any]:
    """Seconds for the first call, the warm one and the replicates; the twelve figures."""

    def evaluate() -> tuple[Any, Any, Any]:
        meter = DetectionMeter([str(k) for k in range(classes)])
        meter.update(detections, truths)
        items = meter.items()
        return meter, items, meter.score(items, {})

    first, _ = timed(evaluate)
    warm, (meter, items, scores) = timed(evaluate)
    weights = stream("benchmark", "weights").standard_exponential((replicates, len(truths)))
    again, _ = timed(lambda: meter.score(items, {"threshold": 0.3}, weights))
    return {"first": first, "warm": warm, "replicates": again, "figures": [float(scores[f][0]) for f in FIGURES]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("images", 2000), ("classes", 20), ("detections", 100), ("replicates", 50)):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    truths, detections = synthetic(args.images, args.classes, args.detections)
    mine = ours(truths, detections, args.classes, args.replicates)
    data, rows = coco_form(truths, detections, args.classes)
    size = f"{args.images} images, {args.classes} classes, {len(data['annotations'])} truths, {len(rows)} detections"
    lines = [
        f"{size}; {os.cpu_count()} cores.",
        "",
        "| evaluator | seconds | times ours | largest difference of the twelve figures |",
        "|---|---|---|---|",
        f"| ablab, first call | {mine['first']:.2f} | | |",
        f"| ablab | {mine['warm']:.2f} | 1.0 | |",
    ]
    judges = [("pycocotools", COCO, COCOeval)]
    with contextlib.suppress(ImportError):
        import faster_coco_eval

        judges.append(("faster-coco-eval", faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster))
    for name, coco, evaluator in judges:
        seconds, stats = reference(data, rows, coco, evaluator)
        gap = np.abs(np.nan_to_num(mine["figures"], nan=-1) - stats).max()
        lines.append(f"| {name} | {seconds:.2f} | {seconds / mine['warm']:.1f} | {gap:.1e} |")
    each = mine["replicates"] / max(args.replicates, 1)
    lines += ["", f"{args.replicates} weighted replicates: {mine['replicates']:.2f} s, {each * 1000:.1f} ms each."]
    text = "\n".join(lines)
    print(text)
    write("Evaluator: one matcher against pycocotools", text)


if __name__ == "__main__":
    main()
