"""The outside judge of errors: tidecv 1.0.1 (Bolya, MIT), and random problems to put before it.

tidecv asks for opencv-python, which would be installed over opencv-python-headless, so that it is no dependency of
ours. What it says of six problems is kept in tide_reference.json; where it is installed, it is asked anew:

    pip install --no-deps tidecv appdirs seaborn && python tests/tasks/detection/diagnosis/tide_reference.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.metrics.meter import DetectionMeter

KEPT = Path(__file__).with_suffix(".json")
NAMES = {
    "Cls": "classification",
    "Loc": "localisation",
    "Both": "both",
    "Dupe": "duplicate",
    "Bkg": "background",
    "Miss": "missed",
    "FalsePos": "false positives",
    "FalseNeg": "false negatives",
}
SLICES = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, np.inf)}
Problem = dict[str, Any]  # classes: K, images: [{"truths": [[label, x, y, w, h]], "found": [[label, score, x, ...]]}]


def problem(rng: np.random.Generator, images: int = 14, classes: int = 3, side: float = 260.0) -> Problem:
    """Objects of every class, detections of every kind of error, images without objects or without detections.

    Boxes stand on quarters of a pixel and scores are unlike: neither float32 nor a tie decides anything.
    """

    def snap(box: np.ndarray) -> list[float]:
        return [float(v) for v in np.round(np.concatenate([box[:2], np.abs(box[2:]) + 4]) * 4) / 4]

    made = []
    for index in range(images):
        truths, found = [], []
        for number in range(0 if index % 5 == 4 else int(rng.integers(1, 6))):
            label = index % classes if number == 0 else int(rng.integers(classes))
            truths.append([label, *snap(np.concatenate([rng.uniform(0, side, 2), rng.gamma(2, 24, 2)]))])
        for label, *box in [] if index % 7 == 6 else truths:
            for _ in range(int(rng.integers(0, 5))):
                moved = np.array(box) + rng.normal(0, rng.choice([0.03, 0.15, 0.4]), 4) * max(box[2:])
                said = label if rng.random() < 0.7 else int(rng.integers(classes))
                found.append([said, float(rng.beta(2, 2)), *snap(moved)])
        for _ in range(0 if index % 7 == 6 else int(rng.integers(0, 4))):
            box = np.concatenate([rng.uniform(0, side, 2), rng.gamma(2, 24, 2)])
            found.append([int(rng.integers(classes)), float(rng.beta(1, 3)), *snap(box)])
        made.append({"truths": truths, "found": found})
    return {"classes": classes, "images": made}


def evidence(problem: Problem, copies: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """What our meter makes of it; image i comes `copies[i]` times."""
    meter = DetectionMeter([f"c{k}" for k in range(problem["classes"])])
    for number, image in enumerate(problem["images"]):
        truths, found = np.array(image["truths"]).reshape(-1, 5), np.array(image["found"]).reshape(-1, 6)
        found = found[np.argsort(-found[:, 1], kind="stable")]
        for copy in range(1 if copies is None else copies[number]):
            none = np.zeros(len(truths), bool)
            area = truths[:, 3] * truths[:, 4]
            real = Truth(f"{number}-{copy}", corners(truths[:, 1:]), truths[:, 0].astype(int), area, none, none)
            meter.update([Detections(corners(found[:, 2:]), found[:, 1], found[:, 0].astype(int))], [real])
    return meter.items()


def corners(boxes: np.ndarray) -> np.ndarray:
    """x y w h -> x1 y1 x2 y2"""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def tide(problem: Problem, copies: np.ndarray | None = None) -> dict[str, Any]:
    """What tidecv says: AP50, the costs (fractions; main ones clipped at 0), counts, and the costs by size."""
    from tidecv import TIDE, Data
    from tidecv.errors.qualifiers import Qualifier

    truth, found, image = Data("truth"), Data("found"), 0
    for number, one in enumerate(problem["images"]):
        for _ in range(1 if copies is None else int(copies[number])):
            truth.add_image(image, str(image))
            for label, *box in one["truths"]:
                truth.add_ground_truth(image, label, box)
            for label, score, *box in one["found"]:
                found.add_detection(image, label, score, box)
            image += 1
    run = TIDE().evaluate(truth, found, mode=TIDE.BOX)
    costs = run.fix_main_errors() | run.fix_special_errors()
    sizes = {}
    for name, (low, high) in SLICES.items():
        size = Qualifier(name, lambda x, low=low, high=high: low < x["bbox"][2] * x["bbox"][3] <= high)
        sizes[name] = {NAMES[e.short_name]: float(c) / 100 for e, c in run.fix_main_errors(qual=size).items()}
    return {
        "AP50": float(run.ap) / 100,
        "costs": {NAMES[error.short_name]: float(cost) / 100 for error, cost in costs.items()},
        "counts": {NAMES[error.short_name]: count for error, count in run.count_errors().items()},
        "sizes": sizes,
    }


def write() -> None:
    """Ask tidecv and keep what it says."""
    cases = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        case = problem(rng, images=14 + 4 * seed, classes=2 + seed % 3)
        copies = rng.integers(1, 4, len(case["images"]))
        cases.append({"problem": case, "copies": copies.tolist(), "says": tide(case), "of copies": tide(case, copies)})
    KEPT.write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    write()
