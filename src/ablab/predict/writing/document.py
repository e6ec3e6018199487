"""detections.json: every image with its objects, and what could not be read."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from ablab.predict.result import Failure, Result
from ablab.predict.writing.job import Growing, Job


class Document:
    """{"model", "thresholds": {class: score}, "images": [{"image", "width", "height", "detections": [{"class", "score",
    "box": [x1, y1, x2, y2]}]}], "failed": [{"image", "error"}], "seconds"}; a video's images have "frame" and
    "seconds", too.
    """

    def __init__(self, job: Job) -> None:
        self._grown = Growing(job.folder / "detections.json")
        self._start, self._any = time.perf_counter(), False
        head = json.dumps({"model": job.model, "thresholds": job.least}, ensure_ascii=False, allow_nan=False)
        self._grown.file.write(f'{head[:-1]}, "images": [')

    def add(self, result: Result) -> None:
        """Append an image."""
        self._grown.file.write(",\n" if self._any else "\n")
        self._grown.file.write(json.dumps(row(result), ensure_ascii=False, allow_nan=False))
        self._any = True

    def close(self, failed: Sequence[Failure]) -> None:
        """Finish the file."""
        names = [{"image": each.source, "error": each.error} for each in failed]
        seconds = round(time.perf_counter() - self._start, 3)
        tail = json.dumps({"failed": names, "seconds": seconds}, ensure_ascii=False)
        self._grown.file.write(f"\n], {tail[1:]}\n")
        self._grown.close()


def row(result: Result) -> dict[str, Any]:
    """An image and its objects as JSON data."""
    frame = result.frame
    height, width = frame.pixels.shape[:2]
    of_video = {} if frame.index is None else {"frame": frame.index, "seconds": round(frame.seconds, 3)}
    detections = [
        {"class": each.name, "score": round(each.score, 6), "box": [round(x, 3) for x in each.box.tolist()]}
        for each in result
    ]
    return {"image": frame.source, **of_video, "width": width, "height": height, "detections": detections}
