"""Small COCO sets: a truth, and detections whose boxes are off by so much, by arm and seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

IMAGES, SIDE = 24, 200


def truth() -> dict[str, Any]:
    rng = np.random.default_rng(7)
    annotations = []
    for image in range(1, IMAGES + 1):
        for _ in range(3):
            x, y, w, h = (float(v) for v in np.round(rng.uniform([0, 0, 20, 20], [120, 120, 70, 70]), 1))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(rng.integers(1, 3)),
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
    images = [{"id": i, "width": SIDE, "height": SIDE, "file_name": f"v{i % 12}_{i}.jpg"} for i in range(1, IMAGES + 1)]
    return {
        "images": images,
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": annotations,
    }


def detections(of: dict[str, Any], off: float, seed: int) -> list[dict[str, Any]]:
    """The truth's boxes, moved by about `off` pixels; the luck of a seed is the same for all arms."""
    rng = np.random.default_rng(seed)
    found = []
    for each in of["annotations"]:
        move, confidence = off * rng.normal(size=4), float(rng.uniform(0.3, 1))
        box = (np.array(each["bbox"]) + move).round(2).tolist()
        kept = {key: each[key] for key in ("image_id", "category_id")}
        found.append(kept | {"bbox": box, "score": round(confidence, 4)})
    return found


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """truth.json, and folders baseline/ and better/ with 0.json to 4.json."""
    real = truth()
    (tmp_path / "truth.json").write_text(json.dumps(real))
    for arm, off in (("baseline", 5.0), ("better", 3.0)):
        (tmp_path / "dets" / arm).mkdir(parents=True)
        for seed in range(5):
            (tmp_path / "dets" / arm / f"{seed}.json").write_text(json.dumps(detections(real, off, seed)))
    return tmp_path
