"""8. A real A/A: a pool of trainings of one small detector, dealt out as studies again and again."""

from __future__ import annotations

import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ablab import records
from ablab.engine.events import Silent
from ablab.stats import compare, holm
from ablab.streams import stream
from ablab.study import run as study_run
from ablab.study import spec
from proof.claim import Cell, Proof, most

ALPHA = 0.05
STUDY: dict[str, Any] = {
    "name": "pool",
    "baseline": {
        "task": "detection",
        "model": {"name": "yolov5", "width": 0.125, "depth": 0.33, "head": "anchor-free"},
        "data": {"path": "photo-digits", "classes": 3, "size": 96, "scenes": [96, 60, 12]},
        "optimizer": {"name": "adamw", "lr": 4.0e-3},
        "augment": {"mosaic": 0.0, "flip": 0.0},
        "train": {"epochs": 30, "image_size": 96, "batch": 8, "threads": 1, "precision": "fp32"},
    },
    "controls": ["a/a"],
    "judge": {"metric": "AP50"},
}


def run(studies: int, trainings: int = 48) -> Proof:
    """Scores of `trainings` trainings, half under streams of their own; studies are dealt without replacement."""
    scores = pool(trainings)
    cells = []
    for arms, n in product((1, 6), (3, 5)):
        if (1 + arms) * n > len(scores):
            continue
        rng = stream("proof", "pool", arms, n)
        dealt = np.stack([rng.permutation(scores)[: (1 + arms) * n] for _ in range(studies)]).reshape(-1, 1 + arms, n)
        compared = compare(dealt[:, 1:] - dealt[:, :1])
        called = int((holm(compared.p) < ALPHA).any(axis=1).sum())
        limit = most(studies, ALPHA)
        cells.append(Cell(f"K = {arms}, n = {n}", f"{called / studies:.1%}", f"5%: at most {limit:,}", called <= limit))
    how = (
        f"{len(scores)} trainings of a YOLOv5 of width 0.125 on 96 scenes of photo-digits, AP50 {scores.mean():.3f} "
        f"with an sd of {scores.std(ddof=1):.3f}; {studies:,} studies a cell are dealt from them. The deals share "
        "trainings, so they are dependent: a rate near its limit says less than with fresh trainings."
    )
    return Proof("A real A/A", how, cells)


def pool(trainings: int) -> np.ndarray:
    """AP50 on validation of so many trainings."""
    with tempfile.TemporaryDirectory() as folder:
        study = spec.build(STUDY | {"seeds": trainings // 2}, "pool", Path.cwd())
        study_run.run(study, Path(folder) / "pool", jobs=2, display=Silent())
        found = records.read_records(Path(folder) / "pool")
        return np.array([record.scores["validation"]["AP50"] for record in found if record.status == "done"])
