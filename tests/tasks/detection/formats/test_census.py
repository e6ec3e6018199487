"""Counting classes, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.census import census, class_counts


def image(name: str, *boxes: tuple[int, float, float], crowd: bool = False) -> Annotation:
    """Boxes (label, width, height)."""
    rows = np.array(boxes, np.float64).reshape(-1, 3)
    corners = np.hstack([np.ones((len(rows), 2)), 1 + rows[:, 1:]])
    marks = np.full(len(rows), crowd)
    return Annotation(name, Path(name), 50, 50, corners, rows[:, 0].astype(np.int64), ~marks & False, marks)


SPLITS = {
    "train": (image("a", (0, 4, 6), (0, 8, 2)), image("b", (0, 6, 40), (1, 3, 3)), image("c")),
    "test": (image("d", (1, 5, 5)), image("e", (1, 9, 9), crowd=True)),
    "validation": (),
}


def test_counts() -> None:
    found = {split: counts.tolist() for split, counts in class_counts(SPLITS, 3).items()}
    assert found == {"train": [3, 1, 0], "test": [0, 1, 0], "validation": [0, 0, 0]}


def test_census() -> None:
    none = {"images": 0, "boxes": 0, "size": None}
    assert census(SPLITS, ["x", "y", "z"]) == [
        {"class": "x", "train": {"images": 2, "boxes": 3, "size": [6.0, 6.0]}, "test": none, "validation": none},
        {
            "class": "y",
            "train": {"images": 1, "boxes": 1, "size": [3.0, 3.0]},
            "test": {"images": 1, "boxes": 1, "size": [5.0, 5.0]},
            "validation": none,
        },
        {"class": "z", "train": none, "test": none, "validation": none},
    ]
