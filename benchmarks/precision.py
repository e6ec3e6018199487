"""A training step of YOLOv5n in fp32, bf16 and fp16, as it is and compiled: milliseconds, images a second, agreement.

    python benchmarks/precision.py --threads 2 --modes fp32,bf16,fp16,bf16+compile

A step is forward, criterion, backward, clipping, AdamW and EMA on one batch that lies on the device; loading images is
not in it. The modes take turns, round after round, so that what else the machine does falls on all of them alike; what
is printed is the median. On a machine with a CUDA card the same runs there.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ablab.contracts import Batch, Step
from ablab.engine import optim
from ablab.engine.distributed import ALONE
from ablab.engine.ema import EMA
from ablab.engine.forward import Forward
from ablab.engine.precision import Precision, choose
from ablab.measure.seeding import forked
from ablab.recipe import OptimizerRecipe, TrainRecipe
from ablab.streams import stream
from ablab.tasks.detection.anchors import DEFAULT
from ablab.tasks.detection.losses.criterion import Criterion
from ablab.tasks.detection.model import build_model
from ablab.tasks.detection.recipe import DetectionModel, LossRecipe
from results import write

CLASSES = 3


def synthetic(batch: int, height: int, width: int) -> Batch:
    """Noise with four rectangles an image, each of its class's colour."""
    rng = stream("benchmark", "precision")
    images = rng.integers(0, 120, (batch, 3, height, width), dtype="uint8")
    rows, labels = [], []
    for image in range(batch):
        for side in (24, 40, 64, 96):
            label, x, y = int(rng.integers(CLASSES)), int(rng.integers(width - side)), int(rng.integers(height - side))
            images[image, label, y : y + side, x : x + side] = 220
            rows.append([x, y, x + side, y + side])
            labels.append(label)
    return {
        "ids": [str(i) for i in range(batch)],
        "images": torch.from_numpy(images),
        "boxes": torch.tensor(rows, dtype=torch.float32),
        "labels": torch.tensor(labels),
        "image_index": torch.arange(batch).repeat_interleave(4),
    }


class Detector:
    """As much of the task as a step wants."""

    def __init__(self) -> None:
        anchors = torch.from_numpy(DEFAULT).float()
        with forked("benchmark", "precision"):
            self.model = build_model(DetectionModel(), CLASSES, anchors)
        head: Any = self.model.get_submodule("head")
        self.criterion = Criterion.of(LossRecipe(), head.strides, CLASSES, anchors=anchors)

    def step(self, model: Any, batch: Batch) -> Step:
        raw = model(batch["images"].float() / 255)
        return Step(*self.criterion(raw, batch["boxes"], batch["labels"], batch["image_index"]))


@dataclass
class Mode:
    """One way to make steps, and what was seen of it."""

    name: str
    precision: Precision
    batch: Batch
    size: int
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        task: Any = Detector()
        self.model = self.precision.place(task.model).train()
        self.batch = self.precision.to_device(self.batch)
        self.forward = Forward(task, self.model, ALONE, self.name.endswith("+compile"), self.size)
        self.optimizer = optim.optimizer(self.model, OptimizerRecipe(lr=1e-3))
        self.scaler, self.ema = self.precision.scaler(), EMA(self.model, 0.9999, 2000)

    def step(self) -> None:
        with self.precision.settled():
            start = self.now()
            self.optimizer.zero_grad()
            with self.precision.autocast():
                loss: Tensor = self.forward(self.batch).loss
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
            norm = optim.clip(self.optimizer, 10.0)
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.ema.update()
            self.seconds.append(self.now() - start)
            if norm.isfinite():
                self.losses.append(loss.item())

    def now(self) -> float:
        if self.precision.cuda:
            torch.cuda.synchronize()
        return time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modes", default="fp32,bf16,fp16,bf16+compile")
    for name, value in (("threads", 2), ("batch", 16), ("height", 256), ("width", 320), ("rounds", 12)):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    batch = synthetic(args.batch, args.height, args.width)
    modes = []
    for name in args.modes.split(","):
        train = {"precision": name.removesuffix("+compile"), "threads": args.threads, "batch": args.batch}
        modes.append(Mode(name, choose(TrainRecipe.model_validate(train)), batch, args.batch))
    for _ in range(args.rounds + 2):  # the first two are warm-up, and compilation
        for mode in modes:
            mode.step()
    text = table(modes, args)
    print(text)
    write(f"Precision: a training step of YOLOv5n on {modes[0].precision.describe()['device']}", text)


def table(modes: list[Mode], args: argparse.Namespace) -> str:
    """One row a mode; losses are compared with the first mode's, step by step."""
    lines = [
        f"Batch {args.batch} of {args.height} x {args.width}, channels_last, {args.threads} threads, median of "
        f"{args.rounds} rounds.",
        "",
        "| arithmetic | ms a step | images/s | compiling, s | mean loss against " + modes[0].name + " | note |",
        "|---|---|---|---|---|---|",
    ]
    for mode in modes:
        seconds = statistics.median(mode.seconds[2:])
        steps = min(len(mode.losses), len(modes[0].losses))
        apart = sum(mode.losses[:steps]) / sum(modes[0].losses[:steps]) - 1
        compiling = f"{mode.forward.compile_seconds:.0f}" if mode.name.endswith("+compile") else ""
        note = "; ".join([*mode.precision.notes, mode.forward.note]).strip("; ")
        cells = [mode.name, f"{seconds * 1000:.1f}", f"{args.batch / seconds:.0f}", compiling, f"{apart:+.2%}", note]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
