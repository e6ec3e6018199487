"""Ultralytics' predictions, in an environment of its own: `prediction.py` starts this and asks it, a line each.

    python ultralytics_prediction.py WEIGHTS.pt IMAGES FOLDER HEIGHT WIDTH THREADS

Images are decoded once, before anything is timed. A question is JSON on a line: {"format": "openvino", "batch": 16} is
answered with the milliseconds of each batch, {"format": "openvino", "detections": true} with what is found:
{image stem: [[x1, y1, x2, y2, score, class], ...]}. An answer stands on a line that begins with "answer ".
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from ultralytics import YOLO

EXPORTS: dict[str, dict[str, Any]] = {
    "openvino": {"format": "openvino"},
    "openvino-int8": {"format": "openvino", "int8": True},
    "onnx": {"format": "onnx"},
}


def opened(name: str, weights: Path, folder: Path, data: Path, size: list[int], batch: int) -> YOLO:
    """The model in a format of its own exporter, made at the first call, for batches of that size."""
    if name == "torch":
        return YOLO(weights)
    place = folder / f"{name}-{batch}"
    place.mkdir(parents=True, exist_ok=True)
    kept = place / weights.name
    if not kept.exists():
        shutil.copy(weights, kept)
        made = YOLO(kept).export(**EXPORTS[name], imgsz=size, batch=batch, data=str(data), device="cpu", verbose=False)
        (place / "made").write_text(str(made))
    return YOLO((place / "made").read_text(), task="detect")


def found(result: Any) -> list[list[float]]:
    boxes = result.boxes.cpu()
    rows: list[list[float]] = torch.cat((boxes.xyxy, boxes.conf[:, None], boxes.cls[:, None]), dim=1).double().tolist()
    return rows


def main() -> None:
    weights, place, out, height, width, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    size, folder = [int(height), int(width)], Path(out)
    paths = sorted(Path(place).glob("*.jpg"))
    images: list[np.ndarray] = [cv2.imread(str(path)) for path in paths]
    data = Path(place).parents[1] / "data.yaml"
    models: dict[tuple[str, int], YOLO] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        batch = asked.get("batch", 1)
        key = (asked["format"], batch)
        if key not in models:
            models[key] = opened(asked["format"], Path(weights), folder, data, size, batch)
            models[key].predict(images[:batch], imgsz=size, verbose=False)
            torch.set_num_threads(int(threads))  # it leaves one core idle by itself
        how: dict[str, Any] = {"imgsz": size, "verbose": False, "device": "cpu"}
        if asked.get("detections"):
            how |= {"conf": 0.001, "iou": 0.7, "max_det": 100}
            rows = {p.stem: found(models[key].predict(i, **how)[0]) for p, i in zip(paths, images, strict=True)}
            answer: Any = rows
        else:
            answer = []
            for start in range(0, len(images) - batch + 1, batch):
                begun = time.perf_counter()
                models[key].predict(images[start : start + batch], batch=batch, **how)
                answer.append(1000 * (time.perf_counter() - begun))
        print("answer", json.dumps(answer), flush=True)


main()
