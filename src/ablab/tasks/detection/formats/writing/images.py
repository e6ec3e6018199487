"""Image files, put into a new place as they are: never decoded, never encoded again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ablab.errors import DataError
from ablab.tasks.detection.boxes import Annotation

Put = Callable[[Annotation, Path], str]
SHORT = {"train": "train", "validation": "val", "test": "test"}


def put_by(link: bool, progress: Callable[[], None] = lambda: None) -> Put:
    """How writers put an image into a folder; it returns the name there, which is the id and the file's own suffix.

    With `link` a hard link, which takes no room, where the file system allows; else a copy. Calls `progress` each time.
    Raises DataError for an id that leads out of the folder.
    """

    def put(image: Annotation, folder: Path) -> str:
        name = f"{image.id}{image.path.suffix}"
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise DataError(f"the id '{image.id}' leads out of the data set; rename the image and its annotation")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (link and _linked(image.path, target)):
            shutil.copyfile(image.path, target)
        progress()
        return name

    return put


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source.resolve(), target)  # of a link, the file itself
    except OSError:  # another file system, one without links, or a file with too many
        return False
    return True


def number(value: float) -> int | float:
    """A number as it is written shortest without loss: 12 for 12.0."""
    return int(value) if float(value).is_integer() else float(value)
