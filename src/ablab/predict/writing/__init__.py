"""What is found, on disk: a file a form, of which `FORMS` knows the names.

Each grows while results come, so that a camera may run for days, and has its name only when it is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ablab.predict.result import Failure, Result
from ablab.predict.writing.coco import Coco
from ablab.predict.writing.document import Document
from ablab.predict.writing.job import Job
from ablab.predict.writing.table import Table
from ablab.predict.writing.yolo import Yolo


class Writer(Protocol):
    """A form of writing results down."""

    def add(self, result: Result) -> None:
        """Take the next image."""

    def close(self, failed: Sequence[Failure]) -> None:
        """Finish, with what could not be read."""


FORMS: dict[str, Callable[[Job], Writer]] = {"json": Document, "coco": Coco, "yolo": Yolo, "csv": Table}
