"""Lists to work with, as CSV files: the suspect labels, the images that leaked, and splits without the copies."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ablab.tasks.detection.diagnosis.data import Suspicion
from ablab.tasks.detection.diagnosis.leaks import Leaks
from ablab.tasks.detection.formats.dataset import Dataset

SUSPECTS, LEAKED, SPLITS = "suspects.csv", "leaked.csv", "splits-without-copies.csv"
BOX = ("x1", "y1", "x2", "y2")


def suspects_file(read: Sequence[Suspicion]) -> bytes:
    """Every suspect of every split, the most suspicious of each first; boxes in pixels of the image."""
    head = ("split", "image", "kind", "suspicion", "label", *(f"label_{side}" for side in BOX))
    rows = [
        (
            of.split,
            s.image,
            s.kind,
            f"{s.suspicion:.4f}",
            s.label or "",
            *_box(s.label_box),
            s.seen or "",
            *_box(s.seen_box),
            "" if s.score is None else f"{s.score:.4f}",
            f"{s.overlap:.4f}",
        )
        for of in read
        for s in of.ranked
    ]
    return _csv((*head, "seen", *(f"seen_{side}" for side in BOX), "score", "overlap"), rows)


def leaked_file(read: Leaks) -> bytes:
    """Every copy, as `ablab data check` says it."""
    return _csv(("image", "kind", "detail"), ((d.where, d.kind, d.detail) for d in read.found))


def splits_file(dataset: Dataset, copies: Sequence[Path]) -> bytes:
    """The data set's splits as `data.splits` takes them, without `copies` in train.

    An image that is in two splits stays in the later one. Where two files share an id, the path from the root says
    which is meant.
    """
    split_of: dict[Path, tuple[str, str]] = {}
    for split in ("train", "validation", "test"):
        for image in dataset.splits.get(split, ()):
            split_of[image.path] = split, image.id
    named = Counter(name for _, name in split_of.values())
    left_out = {path for path in copies if split_of[path][0] == "train"}
    root = dataset.root or Path()
    return _csv(
        ("image", "split"),
        (
            (name if named[name] == 1 else Path(os.path.relpath(path, root)).as_posix(), split)
            for path, (split, name) in split_of.items()
            if path not in left_out
        ),
    )


def _box(box: tuple[float, ...] | None) -> tuple[str, ...]:
    return ("",) * 4 if box is None else tuple(f"{value:.2f}" for value in box)


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()
