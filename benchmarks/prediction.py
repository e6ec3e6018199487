"""Prediction end to end, decoded image in and boxes out: ablab and Ultralytics in turn, on the same images and cores.

    python benchmarks/prediction.py ../shared/data/bccd

Both are trained on BCCD first, ours with `studies/bccd.yaml` and Ultralytics for `--peer-epochs` epochs, or given as
`--ours RUN --theirs WEIGHTS.pt`. Both sides export what they can, both get the same input size (4:3) and the same
threads, and one evaluator scores what each runtime finds on test. A round asks every runtime of both sides in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ablab.export import read_bundle
from ablab.export.bundle import is_bundle
from ablab.predict.shipped import open_model
from ablab.tasks.detection.boxes import Truth
from ablab.tasks.detection.formats.convert import convert
from ablab.tasks.detection.formats.layouts.recognise import read_layout
from results import write
from training import ablab as command
from training import peer_python, peer_run, scored

HERE = Path(__file__).resolve().parent
SIZE = (256, 320)  # what `studies/bccd.yaml` trains at, and what 640 x 480 fits into without a border
BATCHES = (1, 16)
PEER_RUNTIMES = ("torch", "onnx", "openvino", "openvino-int8")
PEER_PACKAGES = ("openvino", "onnx", "onnxruntime", "onnxslim", "nncf")
Found = dict[str, list[list[float]]]


class Ours:
    """Our bundle in every runtime that passed its check."""

    def __init__(self, bundle: Path, images: Mapping[str, np.ndarray]) -> None:
        card = read_bundle(bundle).card
        self.bundle, self.images = bundle, images
        self.runtimes = [name for name, entry in card.runtimes.items() if entry.passed]
        self.models: dict[tuple[str, int], Any] = {}

    def model(self, runtime: str, batch: int) -> Any:
        if (runtime, batch) not in self.models:
            self.models[runtime, batch] = model = open_model(self.bundle, runtime=runtime, batch=batch)
            model([*self.images.values()][:batch])
        return self.models[runtime, batch]

    def times(self, runtime: str, batch: int) -> list[float]:
        model, images, taken = self.model(runtime, batch), [*self.images.values()], []
        for start in range(0, len(images) - batch + 1, batch):
            some = images[start : start + batch]
            begun = time.perf_counter()
            model(some[0] if batch == 1 else some, threshold=0.25)  # Ultralytics' default
            taken.append(1000 * (time.perf_counter() - begun))
        return taken

    def found(self, runtime: str) -> Found:
        model, rows = self.model(runtime, 1), {}
        for name, image in self.images.items():
            result = model(image, threshold=0.001)
            rows[name] = np.column_stack([result.boxes, result.scores, result.labels]).tolist()
        return rows


class Theirs:
    """Ultralytics in a process of its own environment, which answers a line with a line."""

    def __init__(self, python: Path, weights: Path, images: Path, folder: Path, threads: int, log: Path) -> None:
        words = [python, HERE / "peers" / "ultralytics_prediction.py", weights, images, folder, *SIZE, threads]
        environment = os.environ | {"YOLO_CONFIG_DIR": str(folder / "settings"), "YOLO_OFFLINE": "true"}
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log.open("w"), "text": True}
        self.process = subprocess.Popen([*map(str, words)], env=environment, cwd=folder, **pipes)
        self.log = log

    def ask(self, **question: object) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(question), file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            if line.startswith("answer "):
                return json.loads(line.removeprefix("answer "))
        raise SystemExit(f"Ultralytics ended without an answer; see {self.log}")

    def times(self, runtime: str, batch: int) -> list[float]:
        return [*self.ask(format=runtime, batch=batch)]

    def found(self, runtime: str) -> Found:
        return dict(self.ask(format=runtime, detections=True))


def main() -> None:
    """Train or take both sides, export, ask both in turn, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="BCCD in VOC layout")
    parser.add_argument("--ours", type=Path, help="a run's folder, or a bundle; without it one is trained")
    parser.add_argument("--theirs", type=Path, help="Ultralytics' weights; without them they are trained")
    parser.add_argument("--peer", type=Path, default=Path(tempfile.gettempdir()) / "ablab-peer")
    parser.add_argument("--peer-epochs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--dry", action="store_true", help="print the section instead of writing it")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    layout = read_layout(asked.data)
    truths = [Truth.of(annotation) for annotation in layout.splits["test"]]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        convert(asked.data, folder / "yolo", "yolo")
        place = folder / "yolo" / "images" / "test"
        images = {p.stem: np.asarray(Image.open(p).convert("RGB")) for p in sorted(place.glob("*.jpg"))}
        python = peer_python(asked.peer)
        subprocess.run([python, "-m", "pip", "install", "-q", *PEER_PACKAGES], check=True)
        theirs = Theirs(python, _their_weights(asked, python, folder), place, folder, asked.threads, folder / "log.txt")
        ours = Ours(_our_bundle(asked, folder), images)
        sides: list[tuple[str, Any, Sequence[str]]] = [
            ("ablab", ours, ours.runtimes),
            ("Ultralytics", theirs, PEER_RUNTIMES),
        ]
        scores = {
            (name, runtime): scored(side.found(runtime), truths, layout.classes)["AP"]
            for name, side, runtimes in sides
            for runtime in runtimes
        }
        text = section(_in_turn(sides, asked.rounds), scores, asked.threads, len(images))
    print(text)
    if not asked.dry:
        write("Prediction: decoded image in, boxes out, against Ultralytics", text)


def _their_weights(asked: argparse.Namespace, python: Path, folder: Path) -> Path:
    if asked.theirs:
        return Path(asked.theirs).resolve()
    peer_run(python, folder / "yolo", folder, asked.peer_epochs, 0, asked.threads, 1)
    return folder / f"peer-{asked.threads}-0" / "run" / "weights" / "last.pt"


def _our_bundle(asked: argparse.Namespace, folder: Path) -> Path:
    if asked.ours and is_bundle(asked.ours):
        return Path(asked.ours)
    run = asked.ours
    if not run:
        study = HERE.parent / "studies" / "bccd.yaml"
        run = command("train", study, "--data", asked.data.resolve(), "--folder", folder / "ours", "--json")["folder"]
    formats = [word for name in ("onnx", "openvino", "onnx-int8", "openvino-int8") for word in ("--to", name)]
    command("export", run, *formats, "--folder", folder / "bundle", "--threads", asked.threads, "--json")
    return folder / "bundle"


def _in_turn(sides: Sequence[tuple[str, Any, Sequence[str]]], rounds: int) -> dict[tuple[str, str, int], float]:
    """Median milliseconds an image of every side, runtime and batch."""
    taken: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    calls: dict[tuple[str, str, int], Callable[[str, int], list[float]]] = {
        (name, runtime, batch): side.times
        for name, side, runtimes in sides
        for runtime in runtimes
        for batch in BATCHES
    }
    for each in range(rounds + 1):
        for (name, runtime, batch), times in calls.items():
            ms = times(runtime, batch)
            if each:  # the first round warms up
                taken[name, runtime, batch] += [value / batch for value in ms]
    return {key: statistics.median(values) for key, values in taken.items()}


def section(
    ms: Mapping[tuple[str, str, int], float], scores: Mapping[tuple[str, str], float], threads: int, images: int
) -> str:
    """A row a runtime, and the ratios of the fastest of both sides."""
    lines = [
        f"YOLOv5n trained on BCCD, {images} test images of 640 x 480, input {SIZE[0]} x {SIZE[1]}, {threads} threads.",
        "",
        "| side | runtime | batch 1, ms an image | batch 16, ms an image | test AP |",
        "|---|---|---|---|---|",
    ]
    for (side, runtime), score in scores.items():
        one, many = (ms[side, runtime, batch] for batch in BATCHES)
        lines.append(f"| {side} | {runtime} | {one:.2f} | {many:.2f} | {score:.3f} |")
    lines.append("")
    for batch in BATCHES:
        ours, theirs = (_fastest(ms, side, batch) for side in ("ablab", "Ultralytics"))
        plain = ms["Ultralytics", "torch", batch]
        lines.append(
            f"Batch {batch}: our fastest ({ours[1]}) {ours[0]:.2f} ms, theirs ({theirs[1]}) {theirs[0]:.2f} ms: "
            f"{theirs[0] / ours[0]:.1f} times as long; in torch, as it comes, {plain / ours[0]:.1f} times."
        )
    return "\n".join(lines)


def _fastest(ms: Mapping[tuple[str, str, int], float], side: str, batch: int) -> tuple[float, str]:
    return min((value, runtime) for (name, runtime, size), value in ms.items() if (name, size) == (side, batch))


if __name__ == "__main__":
    main()
