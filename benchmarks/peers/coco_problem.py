"""A made-up detection problem of any size, COCO's validation set by default, as flat arrays and in everybody's form.

    truth_image, truth_label, truth_area, truth_crowd (G,)   truth_box (G, 4) x y w h
    found_image, found_label, found_score (D,)               found_box (D, 4) x y w h

Class k is met in proportion to 1 / (k + 2), so that some classes are rare; sides are log-uniform from 8 to 300 pixels,
so that every area range is met; a third of the detections lie near a truth and half of those name its class.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
CANVAS = 480.0  # pixels in which boxes begin


def size(scale: float = 1.0) -> dict[str, int]:
    """What `make` takes: COCO's validation set, or a share of its images."""
    whole = {"images": 5_000, "objects": 36_000, "detections": 500_000}
    return {name: round(count * scale) for name, count in whole.items()} | {"classes": 80}


def described(size: dict[str, int]) -> str:
    """`5,000 images, 80 classes, ...`."""
    return ", ".join(f"{size[name]:,} {name}" for name in ("images", "classes", "objects", "detections"))


def make(images: int, classes: int, objects: int, detections: int) -> Arrays:
    """Draw the problem; every image has as many detections as the next, but for one."""
    rng = np.random.Generator(np.random.Philox(5))
    share = 1 / (np.arange(classes) + 2)
    image = np.sort(rng.integers(0, images, objects))
    label = rng.choice(classes, objects, p=share / share.sum())
    box = _boxes(rng, objects)
    of = np.sort(np.arange(detections) % images)
    low, high = np.searchsorted(image, of, "left"), np.searchsorted(image, of, "right")
    near = (rng.random(detections) < 1 / 3) & (high > low)
    partner = np.where(near, rng.integers(low, np.maximum(high, low + 1)), 0)
    shifted = box[partner] + rng.normal(0, 0.08, (detections, 4)) * np.tile(box[partner, 2:], 2)
    found = np.where(near[:, None], shifted, _boxes(rng, detections))
    found[:, 2:] = np.abs(found[:, 2:]).clip(1)
    same = near & (rng.random(detections) < 0.5)
    score = np.where(same, rng.beta(2, 2, detections), rng.beta(0.4, 4, detections))
    return {
        "truth_image": image,
        "truth_label": label,
        "truth_box": box.round(2),
        "truth_area": (box[:, 2] * box[:, 3] * rng.uniform(0.5, 1, objects)).round(2),
        "truth_crowd": rng.random(objects) < 0.01,
        "found_image": of,
        "found_label": np.where(same, label[partner], rng.choice(classes, detections, p=share / share.sum())),
        "found_box": found.round(2),
        "found_score": (0.001 + 0.999 * score).round(
            9
        ),  # hardly ever equal in one image, where copies would interleave
    }


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.hstack([rng.uniform(0, CANVAS, (count, 2)), np.exp(rng.uniform(np.log(8), np.log(300), (count, 2)))])


def write(arrays: Arrays, images: int, classes: int, folder: Path) -> None:
    """`arrays.npz`, and COCO's `instances.json` and `results.json`."""
    np.savez(folder / "arrays.npz", images=images, classes=classes, **arrays)
    (folder / "instances.json").write_text(json.dumps(instances(arrays, images, classes)))
    columns = ("found_image", "found_label", "found_box", "found_score")
    rows = zip(*(arrays[name].tolist() for name in columns), strict=True)
    results = [{"image_id": i + 1, "category_id": k + 1, "bbox": b, "score": s} for i, k, b, s in rows]
    (folder / "results.json").write_text(json.dumps(results))


def instances(arrays: Arrays, images: int, classes: int) -> dict[str, Any]:
    """COCO's mapping of the truth; ids count from 1."""
    columns = ("truth_image", "truth_label", "truth_box", "truth_area", "truth_crowd")
    rows = zip(*(arrays[name].tolist() for name in columns), strict=True)
    return {
        "info": {},
        "images": [{"id": i + 1, "width": 800, "height": 800} for i in range(images)],
        "annotations": [
            {"id": n, "image_id": i + 1, "category_id": k + 1, "bbox": b, "area": a, "iscrowd": int(c)}
            for n, (i, k, b, a, c) in enumerate(rows, start=1)
        ],
        "categories": [{"id": k + 1, "name": f"class {k + 1}"} for k in range(classes)],
    }


def by_image(image: np.ndarray, images: int) -> list[slice]:
    """The rows of each image; rows are sorted by image."""
    ends = np.searchsorted(image, np.arange(images + 1))
    return [slice(a, b) for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]
