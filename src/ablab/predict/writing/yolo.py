"""labels/: a text file an image, in shares of its sides, as YOLO tools read and write them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ablab.predict.result import Failure, Result
from ablab.predict.writing.job import Job


class Yolo:
    """A line an object: label, centre x and y, width, height, score; classes.txt names the labels, in their order."""

    def __init__(self, job: Job) -> None:
        self._job, self._folder = job, job.folder / "labels"
        self._folder.mkdir(parents=True, exist_ok=True)
        (job.folder / "classes.txt").write_text("".join(f"{name}\n" for name in job.classes), "utf-8")

    def add(self, result: Result) -> None:
        """Write the image's file, an empty one where nothing is found."""
        height, width = result.frame.pixels.shape[:2]
        low, high = result.boxes[:, :2], result.boxes[:, 2:]
        shares = np.hstack([(low + high) / 2, high - low]) / [width, height, width, height]
        lines = [
            f"{label} {x:.6f} {y:.6f} {w:.6f} {h:.6f} {score:.6f}\n"
            for label, (x, y, w, h), score in zip(result.labels, shares, result.scores, strict=True)
        ]
        (self._folder / f"{self._job.stem(result.frame)}.txt").write_text("".join(lines), "utf-8")

    def close(self, failed: Sequence[Failure]) -> None:
        """Every file is whole already."""
