"""What surgery costs beside building the network: every activation replaced by another, on one thread.

    python benchmarks/surgery_cost.py

Building is the constructor, with the weights drawn; surgery is `surgery.apply` with one edit on an example of one image
of `--side` pixels: the copy, the run before and the one after, each part built and tried alone, and the report. The two
take turns; what is printed is the median and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import timm
import torch
from torch import nn

from ablab import surgery
from ablab.measure.seeding import forked
from ablab.recipe import Edit
from ablab.tasks.detection.anchors import DEFAULT
from ablab.tasks.detection.model import build_model
from ablab.tasks.detection.recipe import DetectionModel
from results import write


def yolov5s() -> nn.Module:
    """Ours, at 80 classes."""
    return build_model(DetectionModel(size="s"), 80, torch.from_numpy(DEFAULT).float())


def resnet50() -> nn.Module:
    """Timm's, with weights drawn."""
    return timm.create_model("resnet50", pretrained=False)


CASES: dict[str, tuple[Callable[[], nn.Module], list[tuple[str, Edit]]]] = {
    "YOLOv5s": (
        yolov5s,
        [
            ("silu by hardswish", surgery.replace(of="silu", part="hardswish")),
            ("silu by frelu", surgery.replace(of="silu", part="frelu")),
        ],
    ),
    "timm resnet50": (
        resnet50,
        [
            ("relu by hardswish", surgery.replace(of="relu", part="hardswish")),
            ("relu by frelu", surgery.replace(of="relu", part="frelu")),
        ],
    ),
}


def seconds(work: Callable[[], object]) -> float:
    """Of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def row(build: Callable[[], nn.Module], edit: Edit, example: torch.Tensor, repeats: int) -> str:
    """Sites, both times and their ratio."""
    with forked("benchmark", "surgery"):
        model = build()
        _, report = surgery.apply(model, [edit], example)  # warms up
        rounds = [(seconds(build), seconds(partial(surgery.apply, model, [edit], example))) for _ in range(repeats)]
    built, operated = (1e3 * statistics.median(column) for column in zip(*rounds, strict=True))
    return f"{len(report.sites)} | {built:.0f} | {operated:.0f} | {operated / built:.2f}"


def main() -> None:
    """Measure, print, and write RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--side", type=int, default=64, help="pixels")
    args = parser.parse_args()
    torch.set_num_threads(1)
    example = torch.rand(1, 3, args.side, args.side)
    lines = ["| network | edit | sites | building, ms | surgery, ms | ratio |", "|---|---|---|---|---|---|"]
    for name, (build, edits) in CASES.items():
        for label, edit in edits:
            lines.append(f"| {name} | {label} | {row(build, edit, example, args.repeats)} |")
            print(lines[-1], flush=True)
    where = f"One thread, an example of 1 x 3 x {args.side} x {args.side}, medians of {args.repeats} turns."
    write("What surgery costs beside building the network", f"{where}\n\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
