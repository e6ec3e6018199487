"""Training YOLOv5n from scratch on BCCD: ablab and Ultralytics, one after the other on the same machine and data.

    python benchmarks/training.py ../shared/data/bccd --seeds 3

Ultralytics gets an environment of its own, made at the first call (`--peer` says where; 6 GB), since its licence keeps
it out of ours. Both sides train at 320 px and batch 16; ablab with `studies/bccd.yaml`, Ultralytics with its defaults
and `--peer-epochs` epochs. Both sides' detections on test are clipped at the image, saved, and scored by one evaluator.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

import numpy as np

from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.formats.convert import convert
from ablab.tasks.detection.formats.layouts.recognise import read_layout
from ablab.tasks.detection.metrics.meter import DetectionMeter
from results import write

HERE = Path(__file__).resolve().parent
PEER = "ultralytics>=8.4,<8.5"
Row = dict[str, Any]


def peer_python(place: Path) -> Path:
    """The interpreter of the peer's environment, made where it is not there yet."""
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
    listed = subprocess.run([python, "-m", "pip", "show", "-q", "ultralytics"], check=False)
    if listed.returncode:
        subprocess.run([python, "-m", "pip", "install", "-q", PEER], check=True)
    return python


def peer_run(python: Path, data: Path, folder: Path, epochs: int, seed: int, threads: int, images: int) -> Row:
    """One training of the peer; its speed, memory and detections."""
    out = folder / f"peer-{threads}-{seed}"
    out.mkdir(parents=True)
    side = HERE / "peers" / "ultralytics_side.py"
    words = [python, side, data / "data.yaml", data / "images" / "test", out, epochs, seed, threads]
    # Its own settings folder, so that nothing of the user's is read or written; offline, so that it fetches nothing.
    environment = os.environ | {"YOLO_CONFIG_DIR": str(folder / "settings"), "YOLO_OFFLINE": "true"}
    with (out / "log.txt").open("w") as log:
        subprocess.run(list(map(str, words)), cwd=out, env=environment, stdout=log, stderr=log, check=True)
    report: Row = json.loads((out / "report.json").read_text())
    found: dict[str, list[list[float]]] = json.loads((out / "detections.json").read_text())
    return report | {"images_per_second": epochs * images / report["seconds"], "found": found}


def our_run(study: Path, data: Path, folder: Path, seed: int, sets: list[str], images: int) -> Row:
    """One training of ours, and its reading of test, by the commands that a user would give."""
    options = [word for pair in sets for word in ("--set", pair)]
    document = ablab("train", study, "--data", data, "--seed", seed, "--folder", folder / "ours", "--json", *options)
    place = Path(document["folder"])
    scores = ablab("eval", place, "--split", "test", "--json")["scores"]
    recipe = json.loads((place / "run.json").read_text())["arm"]["recipe"]
    seconds = document["cost"]["train_seconds"]
    return {
        "seconds": seconds,
        "images_per_second": recipe["train"]["epochs"] * images / seconds,
        "peak_mb": document["cost"]["peak_memory_mb"],
        "parameters": document["cost"]["parameters"],
        "AP": scores["AP"],
        "AP50": scores["AP50"],
    }


def ablab(*words: object) -> dict[str, Any]:
    """What `ablab WORDS` answers."""
    command = [sys.executable, "-m", "ablab", *map(str, words)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return answer


def scored(found: dict[str, list[list[float]]], truths: list[Truth], classes: tuple[str, ...]) -> dict[str, float]:
    """AP and AP50 of saved detections by ablab's evaluator, each image's best 100 and clipped."""
    meter = DetectionMeter(classes, 100)
    rows = [np.array(found.get(truth.image, []), np.float64).reshape(-1, 6) for truth in truths]
    made = [Detections(r[:, :4], r[:, 4], r[:, 5].astype(np.int64)) for r in rows]
    meter.update(
        [Detections(d.boxes[o], d.scores[o], d.labels[o]) for d in made for o in [np.argsort(-d.scores)]], truths
    )
    items = meter.items()
    scores = meter.score(items, meter.choose(items))
    return {name: float(scores[name][0]) for name in ("AP", "AP50")}


def main() -> None:
    """Run both sides and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="BCCD in VOC layout")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peer-epochs", type=int, default=60)
    parser.add_argument("--peer", type=Path, default=Path(tempfile.gettempdir()) / "ablab-peer")
    parser.add_argument("--study", type=Path, default=HERE.parent / "studies" / "bccd.yaml")
    parser.add_argument("--set", action="append", default=[], dest="sets", help="for ours, as in `ablab train`")
    parser.add_argument("--dry", action="store_true", help="print the section instead of writing it")
    asked = parser.parse_args()
    layout = read_layout(asked.data)
    truths = [Truth.of(annotation) for annotation in layout.splits["test"]]
    images, python = len(layout.splits["train"]), peer_python(asked.peer)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        convert(asked.data, folder / "yolo", "yolo")
        as_it_comes = peer_run(python, folder / "yolo", folder, 2, 0, 0, images)
        ours, theirs = [], []
        for seed in range(asked.seeds):  # in turns, so that a machine that slows down slows both
            ours.append(our_run(asked.study, asked.data.resolve(), folder, seed, asked.sets, images))
            row = peer_run(python, folder / "yolo", folder, asked.peer_epochs, seed, os.cpu_count() or 1, images)
            theirs.append(row | scored(row.pop("found"), truths, layout.classes))
            print(f"seed {seed}: ours {shown(ours[-1])}; theirs {shown(theirs[-1])}", file=sys.stderr, flush=True)
    text = section(ours, theirs, as_it_comes, asked.peer_epochs)
    print(text)
    if not asked.dry:
        write("Training: YOLOv5n from scratch on BCCD, against Ultralytics", text)


def shown(row: Row) -> str:
    return (
        f"{row['seconds']:.0f} s, {row['images_per_second']:.1f} images/s, AP {row['AP']:.3f}, AP50 {row['AP50']:.3f}"
    )


def section(ours: list[Row], theirs: list[Row], as_it_comes: Row, epochs: int) -> str:
    """The figures of both sides, a row a seed, and their ratios."""

    def mean(rows: list[Row], name: str) -> float:
        return statistics.mean(row[name] for row in rows)

    lines = [
        "| side | seed | seconds | images/s | test AP | test AP50 | peak MB | parameters |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for side, rows in (("ablab", ours), (f"Ultralytics, {epochs} epochs", theirs)):
        for seed, row in enumerate(rows):
            lines.append(
                f"| {side} | {seed} | {row['seconds']:.0f} | {row['images_per_second']:.1f} | {row['AP']:.3f} "
                f"| {row['AP50']:.3f} | {row['peak_mb']:.0f} | {row['parameters'] / 1e6:.2f} M |"
            )
    gap = mean(ours, "AP") - mean(theirs, "AP")
    lines += [
        "",
        f"Mean over {len(ours)} seeds: ablab reaches AP {mean(ours, 'AP'):.3f} in {mean(ours, 'seconds'):.0f} s, "
        f"Ultralytics {mean(theirs, 'AP'):.3f} in {mean(theirs, 'seconds'):.0f} s: "
        f"{mean(theirs, 'seconds') / mean(ours, 'seconds'):.1f} times as long, and ours is {gap:+.3f} from theirs.",
        f"Whole loop, images a second: {mean(ours, 'images_per_second') / mean(theirs, 'images_per_second'):.1f} times "
        f"theirs on all cores; as it comes Ultralytics uses {as_it_comes['threads']:.0f} thread and makes "
        f"{as_it_comes['images_per_second']:.1f} images/s. Peak memory counts the main process, evaluation included; "
        "Ultralytics' loader workers come on top.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
