"""The outside judge: pycocotools on COCO's own data structures, and random data sets to put before it."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


@dataclass
class Problem:
    """`instances` and `results` as COCO writes them."""

    instances: dict
    results: list

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Both files."""
        truth, detections = folder / "instances.json", folder / "results.json"
        truth.write_text(json.dumps(self.instances))
        detections.write_text(json.dumps(self.results))
        return truth, detections

    def repeated(self, times: np.ndarray) -> Problem:
        """The same with image i so many times, copies beside each other."""
        images = sorted(self.instances["images"], key=lambda image: image["id"])
        copies = {
            image["id"]: [image["id"] * 100 + c for c in range(n)] for image, n in zip(images, times, strict=True)
        }

        def repeat(entries: list, key: str) -> list:
            return [entry | {key: new} for entry in entries for new in copies[entry[key]]]

        annotations = repeat(self.instances["annotations"], "image_id")
        return Problem(
            self.instances
            | {
                "images": repeat(images, "id"),
                "annotations": [a | {"id": i + 1} for i, a in enumerate(annotations)],
            },
            repeat(self.results, "image_id"),
        )


def random_problem(
    rng: np.random.Generator,
    images: int = 6,
    classes: int = 3,
    truths: int = 4,
    detections: int = 8,
    step: float = 0.0,
    levels: int = 0,
    crowd: float = 0.15,
    side: float = 160.0,
    names: int | None = None,
) -> Problem:
    """Up to so many truths and detections an image; half of the detections lie near a truth.

    `step` snaps boxes to a grid (ties of overlap), `levels` scores to so many values (ties of score). The last of
    `names` classes have neither truth nor detection.
    """
    names = names or classes
    category_ids = [3 * k + 1 for k in range(names)]
    image_ids = [int(i) for i in rng.permutation(images * 5)[:images] + 1]

    def snap(box: np.ndarray) -> list[float]:
        return [float(v) for v in (np.round(box / step) * step if step else np.round(box, 2))]

    def box() -> np.ndarray:
        size = side * rng.beta(0.7, 2.0, 2) + rng.choice([0.0, 0.5, step or 1.0])
        return np.concatenate([rng.uniform(0, side, 2), size])

    annotations, results = [], []
    for image in image_ids:
        near = []
        for _ in range(int(rng.integers(0, truths + 1))):
            own, category = snap(box()), category_ids[int(rng.integers(classes))]
            near.append((own, category))
            area = own[2] * own[3] * float(rng.choice([1.0, 1.0, 0.6]))
            is_crowd = int(rng.random() < crowd)
            annotations.append(
                {"image_id": image, "category_id": category, "bbox": own, "area": area, "iscrowd": is_crowd}
            )
        for _ in range(int(rng.integers(0, detections + 1))):
            own, category = snap(box()), category_ids[int(rng.integers(classes))]
            if near and rng.random() < 0.7:
                base, category = near[int(rng.integers(len(near)))]
                own = snap(np.array(base) + rng.normal(0, 0.08, 4) * max(base[2:]) * rng.integers(0, 2))
                own[2:] = [abs(v) for v in own[2:]]
            score = rng.random()
            score = float(np.round(score * levels) / levels) if levels else float(score)
            results.append({"image_id": image, "category_id": category, "bbox": own, "score": score})
    return Problem(
        {
            "images": [{"id": i} for i in image_ids],
            "annotations": [a | {"id": i + 1} for i, a in enumerate(annotations)],
            "categories": [{"id": i, "name": f"c{i}"} for i in category_ids],
        },
        results,
    )


def judge(problem: Problem) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """pycocotools' twelve figures, and its arrays precision (T, R, K, A, M) and recall (T, K, A, M)."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(problem.instances)
        truth.createIndex()
        if problem.results:
            found = truth.loadRes(copy.deepcopy(problem.results))
        else:  # loadRes cannot read an empty list
            found = COCO()
            found.dataset = {**copy.deepcopy(problem.instances), "annotations": []}
            found.createIndex()
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats, evaluation.eval
