"""One training with Ultralytics, in an environment of its own: `training.py` calls this and reads what it prints.

    python ultralytics_side.py DATA.yaml TEST_IMAGES OUT EPOCHS SEED THREADS

Trains yolov5n.yaml from scratch at 320 px, batch 16, and writes OUT/detections.json: {image stem: [[x1, y1, x2, y2,
score, class], ...]} of the last weights (its moving average), boxes clipped as its `predict` does. Validation is off
until the end, and not timed: seconds count from the first to the last epoch, the loader's start included.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from ultralytics import YOLO


def main() -> None:
    data, images, out, epochs, seed, threads = sys.argv[1:]
    folder = Path(out)
    times = {"start": 0.0, "end": 0.0}

    def begin(trainer: Any) -> None:
        if int(threads):
            torch.set_num_threads(int(threads))  # it leaves one core idle by itself
        times["threads"] = torch.get_num_threads()
        times["start"] = time.perf_counter()

    def epoch_over(trainer: Any) -> None:
        times["end"] = time.perf_counter()

    model = YOLO("yolov5n.yaml")
    model.add_callback("on_train_start", begin)
    model.add_callback("on_train_epoch_end", epoch_over)
    model.train(
        data=data,
        epochs=int(epochs),
        imgsz=320,
        batch=16,
        seed=int(seed),
        device="cpu",
        pretrained=False,
        val=False,
        plots=False,
        project=str(folder),
        name="run",
        exist_ok=True,
        verbose=False,
    )
    best = YOLO(folder / "run" / "weights" / "last.pt")
    found = {}
    for result in best.predict(images, imgsz=320, conf=0.001, iou=0.7, max_det=100, stream=True, verbose=False):
        boxes = result.boxes.cpu()
        rows = torch.cat((boxes.xyxy, boxes.conf[:, None], boxes.cls[:, None]), dim=1)
        found[Path(result.path).stem] = rows.double().tolist()
    (folder / "detections.json").write_text(json.dumps(found))
    usage = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    report = {
        "seconds": times["end"] - times["start"],
        "threads": times["threads"],
        "peak_mb": usage[0] / 1024,
        "child_peak_mb": usage[1] / 1024,
        "parameters": sum(p.numel() for p in best.model.parameters()),
    }
    (folder / "report.json").write_text(json.dumps(report))


main()
