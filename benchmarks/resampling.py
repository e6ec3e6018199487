"""AP under image weights: seconds and memory of many replicates, and whether they are those of resampled files.

    python benchmarks/resampling.py                  1,000 replicates on a problem of COCO's size
    python benchmarks/resampling.py --scale 0.05 --dry

Exactness is shown on a small problem: integer weights against pycocotools on files in which images are repeated.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import resource
import sys
import time

import numpy as np

from ablab.stats import image_weights
from ablab.streams import stream
from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.metrics.meter import DetectionMeter
from peers import coco_problem
from peers.evaluator_side import pycocotools
from results import write

CHECKED = 0.02  # share of COCO's images in the problem that pycocotools resamples
Arrays = coco_problem.Arrays


def measure(arrays: Arrays, images: int, classes: int) -> DetectionMeter:
    """A meter that has seen everything."""

    def corners(boxes: np.ndarray) -> np.ndarray:
        return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])

    meter = DetectionMeter([f"class {k + 1}" for k in range(classes)])
    real, found = corners(arrays["truth_box"]), corners(arrays["found_box"])
    crowd, sides = arrays["truth_crowd"], arrays["truth_box"][:, 2:]
    truths = [
        Truth(str(i), real[s], arrays["truth_label"][s], arrays["truth_area"][s], crowd[s], crowd[s], sides[s])
        for i, s in enumerate(coco_problem.by_image(arrays["truth_image"], images))
    ]
    detections = [
        Detections(found[s], arrays["found_score"][s], arrays["found_label"][s], arrays["found_box"][s, 2:])
        for s in coco_problem.by_image(arrays["found_image"], images)
    ]
    meter.update(detections, truths)
    return meter


def repeated(arrays: Arrays, times: np.ndarray) -> Arrays:
    """The problem with image i so many times, copies beside each other under ids of their own."""
    old = np.repeat(np.arange(len(times)), times)
    made: Arrays = {}
    for kind in ("truth", "found"):
        rows = coco_problem.by_image(arrays[f"{kind}_image"], len(times))
        chosen = [np.arange(rows[i].start, rows[i].stop) for i in old]
        index = np.concatenate(chosen)
        made |= {name: column[index] for name, column in arrays.items() if name.startswith(kind)}
        made[f"{kind}_image"] = np.repeat(np.arange(len(old)), list(map(len, chosen)))
    return made


def largest_gap(checks: int) -> float:
    """Of AP, AP50 and AP75 to pycocotools on so many resamples."""
    from pycocotools.coco import COCO

    size = coco_problem.size(CHECKED)
    arrays = coco_problem.make(**size)
    meter = measure(arrays, size["images"], size["classes"])
    times = stream("resampling", "times").multinomial(
        size["images"], np.full(size["images"], 1 / size["images"]), checks
    )
    ours = meter.score(meter.items(), {}, times, only=("AP", "AP50", "AP75"))
    _, evaluate = pycocotools()
    gaps = []
    for row, own in enumerate(times):
        copies = repeated(arrays, own)
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO()
            truth.dataset = coco_problem.instances(copies, int(own.sum()), size["classes"])
            truth.createIndex()
            ids = np.column_stack([copies["found_image"] + 1, copies["found_box"], copies["found_score"]])
            figures = evaluate((truth, truth.loadRes(np.column_stack([ids, copies["found_label"] + 1]))))
        gaps += [abs(ours[name][row] - figure) for name, figure in zip(ours, figures, strict=False)]
    return max(gaps)


def main() -> None:
    """Time the replicates, check some, write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of COCO's 5,000 images")
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--checks", type=int, default=5, help="resamples that pycocotools evaluates, too")
    parser.add_argument("--dry", action="store_true", help="print the section instead of writing it")
    asked = parser.parse_args()
    size = coco_problem.size(asked.scale)
    meter = measure(coco_problem.make(**size), size["images"], size["classes"])
    items = meter.items()
    rng = stream("resampling", "weights")
    weights = image_weights(np.arange(size["images"]), asked.replicates, rng)
    lines = ["| figures | seconds | ms a replicate | standard error of the first over images |", "|---|---|---|---|"]
    for only in (("AP",), ("AP50",), ()):
        meter.score(items, {}, weights[:1], only)  # kernels are loaded
        start = time.perf_counter()
        scores = meter.score(items, {}, weights, only)
        seconds = time.perf_counter() - start
        first, values = next(iter(scores.items()))
        name = " and ".join(only) or f"all {len(scores)}"
        lines.append(f"| {name} | {seconds:.1f} | {seconds / len(weights) * 1000:.1f} | {first} {values.std():.4f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    head = (
        f"{asked.replicates:,} replicates under exponential image weights: {coco_problem.described(size)}, ten IoU "
        f"thresholds; {os.cpu_count()} cores, {peak:.0f} MB at most, weights and evidence included."
    )
    text = "\n".join([head, "", *lines])
    if asked.checks:
        text += (
            f"\n\nInteger weights on {round(5000 * CHECKED)} images against pycocotools on files with repeated images, "
            f"{asked.checks} resamples: the largest gap of AP, AP50 and AP75 is {largest_gap(asked.checks):.1e}."
        )
    print(text)
    if not asked.dry:
        write("Resampling: AP under image weights", text)


if __name__ == "__main__":
    main()
