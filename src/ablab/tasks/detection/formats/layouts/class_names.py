"""Class names in a file of their own, one a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ablab.errors import DataError
from ablab.tasks.detection.formats.coco import unique_names
from ablab.tasks.detection.formats.reading import read_lines

CLASSES = "classes.txt"


def read_names(root: Path, places: Sequence[str] = (CLASSES,)) -> tuple[str, ...]:
    """The names in the first of the files that is there; none where there is no such file.

    Two classes of one name are told apart by their number. Raises DataError where a file is no text or has a gap.
    """
    file = next((root / place for place in places if (root / place).is_file()), None)
    if file is None:
        return ()
    lines = [line.strip() for line in read_lines(file, "one class name a line")]
    while lines and not lines[-1]:
        lines.pop()
    if not all(lines):
        raise DataError(f"{file}, line {lines.index('') + 1}: expected one class name a line, got an empty one")
    return unique_names(dict(enumerate(lines)), range(len(lines)))
