"""The evaluator beside pycocotools, faster-coco-eval and torchmetrics: seconds, memory and the twelve figures.

    python benchmarks/evaluator.py --rounds 3      COCO's validation set in size: some minutes
    python benchmarks/evaluator.py --scale 0.05 --dry

All read the same files, each in a process of its own, in turns. The peers that are not ours to depend on go into a
folder of their own (`--peers`), installed there without their dependencies: they find ours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from peers import coco_problem
from results import write

HERE = Path(__file__).resolve().parent
PEERS = ("torchmetrics>=1.6,<2", "lightning-utilities>=0.8,<1", "faster-coco-eval>=1.6,<2")
NAMES = ("ablab", "pycocotools", "faster-coco-eval", "torchmetrics")
Row = dict[str, Any]


def install(place: Path) -> None:
    """The peers, where they are not there yet."""
    if not (place / "torchmetrics").is_dir():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", place, *PEERS]
        subprocess.run(list(map(str, command)), check=True)


def measured(name: str, folder: Path, place: Path) -> Row:
    """One evaluator's row."""
    paths = [str(place), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, str(HERE / "peers" / "evaluator_side.py"), name, str(folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr.decode()}")
    row: Row = json.loads(done.stdout)
    return row


def best(rows: list[Row]) -> Row:
    """The round that took least: what else the machine did is no property of an evaluator."""
    return min(rows, key=lambda row: row["load"] + row["evaluate"])


def table(rows: dict[str, Row]) -> list[str]:
    """Markdown; ratios are theirs over ours, gaps are to pycocotools."""
    ours = rows["ablab"]
    truth = np.array(rows["pycocotools"]["figures"]) if "pycocotools" in rows else None
    lines = [
        "| evaluator | loading, s | evaluating, s | x ours | both, s | x ours | peak, MB | largest gap |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        both, base = row["load"] + row["evaluate"], ours["load"] + ours["evaluate"]
        ratio = row["evaluate"] / ours["evaluate"]
        gap = "" if truth is None else f"{np.abs(truth - row['figures']).max():.1e}"
        lines.append(
            f"| {name} {row['version']} | {row['load']:.2f} | {row['evaluate']:.2f} | "
            f"{ratio:.1f} | {both:.2f} | {both / base:.1f} | {row['peak_mb']:.0f} | {gap} |"
        )
    return lines


def main() -> None:
    """Draw the problem, run everybody, write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of COCO's 5,000 images")
    parser.add_argument("--rounds", type=int, default=1, help="the best of so many counts")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--peers", type=Path, default=Path(tempfile.gettempdir()) / "ablab-evaluators")
    parser.add_argument("--dry", action="store_true", help="print the section instead of writing it")
    asked = parser.parse_args()
    install(asked.peers)
    size = coco_problem.size(asked.scale)
    with tempfile.TemporaryDirectory() as temporary:
        folder, small = Path(temporary) / "whole", Path(temporary) / "small"
        for place, of in ((folder, size), (small, coco_problem.size(0.001))):
            place.mkdir()
            coco_problem.write(coco_problem.make(**of), of["images"], of["classes"], place)
        measured("ablab", small, asked.peers)  # kernels are compiled once on a machine, and not here
        rows: dict[str, list[Row]] = {name: [] for name in asked.only}
        for turn in range(asked.rounds):
            for name in asked.only:
                rows[name].append(measured(name, folder, asked.peers))
                print(f"round {turn + 1}: {name} done", file=sys.stderr, flush=True)
    head = (
        f"{coco_problem.described(size)}; best of {asked.rounds}, a fresh process each, imports not counted. "
        "torchmetrics is given tensors and the backend faster_coco_eval. The gap is the largest of the twelve figures' "
        "to pycocotools'."
    )
    text = "\n".join([head, "", *table({name: best(found) for name, found in rows.items()})])
    print(text)
    if not asked.dry:
        write("Evaluator: one matcher against pycocotools", text)


if __name__ == "__main__":
    main()
