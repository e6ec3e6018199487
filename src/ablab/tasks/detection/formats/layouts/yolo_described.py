"""Which images and classes a data set in YOLO layout has, wherever it says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.formats.reading import read_lines

NAMES = ("classes.txt", "obj.names", "labels/classes.txt", "data/obj.names", "classes.names")


@dataclass(frozen=True)
class Described:
    """`names` is empty where there are none; `count` is then what is known of their number, or 0."""

    root: Path
    splits: dict[str, list[Path]]
    names: tuple[str, ...] = ()
    count: int = 0
    places: dict[str, str] = field(default_factory=dict)
    defects: tuple[Defect, ...] = ()


def read_list(file: Path, base: Path) -> list[Path]:
    """The images in a list, one path a line: relative to the list, or to `base`, whichever has the first of them."""
    lines = [line for text in read_lines(file, "one path of an image a line") if (line := text.strip())]
    folders = (file.parent, base, base.parent)
    folder = next((f for f in folders if lines and (f / lines[0]).is_file()), file.parent)
    return [folder / line for line in lines]
