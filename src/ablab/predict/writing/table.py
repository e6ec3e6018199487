"""detections.csv: an object a row, one row for an image without any."""

from __future__ import annotations

import csv
from collections.abc import Sequence

from ablab.predict.result import Failure, Result
from ablab.predict.writing.job import Growing, Job


class Table:
    """Columns image, frame, class, score, xmin, ymin, xmax, ymax; frame is empty where the image is no video's."""

    def __init__(self, job: Job) -> None:
        self._grown = Growing(job.folder / "detections.csv")
        self._table = csv.writer(self._grown.file, lineterminator="\n")
        self._table.writerow(("image", "frame", "class", "score", "xmin", "ymin", "xmax", "ymax"))

    def add(self, result: Result) -> None:
        """Append the image's rows."""
        start = (result.frame.source, "" if result.frame.index is None else result.frame.index)
        for each in result:
            corners = (round(x, 3) for x in each.box.tolist())
            self._table.writerow((*start, each.name, round(each.score, 6), *corners))
        if not len(result):
            self._table.writerow((*start, *[""] * 6))

    def close(self, failed: Sequence[Failure]) -> None:
        """Finish the file."""
        self._grown.close()
