"""Data sets as a CSV table: one object a row.

    image,xmin,ymin,xmax,ymax,class        or headless, as RetinaNet reads it:  path,x1,y1,x2,y2,class
    a.jpg,10,20,110,220,dog
    b.jpg,,,,,                             an image without objects

A header may use the usual other names (`table_columns.COLUMNS`), width and height of the box instead of its far corner,
and have more columns: split, width and height of the image, difficult, crowd, area, group. Fields are parted by comma,
semicolon, tab or bar. A file a split (train.csv, val.csv, or {train,valid,test}/_annotations.csv) does as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from ablab.errors import DataError, suggest
from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.formats.layout import SPLITS, Layout, split_of
from ablab.tasks.detection.formats.layouts.class_names import read_names
from ablab.tasks.detection.formats.layouts.coco_files import image_folders
from ablab.tasks.detection.formats.layouts.draft import Draft, Object, Source, draft, identify, name_of, unusable
from ablab.tasks.detection.formats.layouts.images import Finder, without_suffix
from ablab.tasks.detection.formats.layouts.settle import settle
from ablab.tasks.detection.formats.layouts.table_columns import Row, find_tables, number_of, read_rows


def read_table(path: Path) -> Layout:
    """Read a CSV file, or a folder that has one: all rows, headers of the images, no pixels.

    Classes are those of `classes.txt`, or the sorted names of the boxes that can be used in train. Raises DataError
    where there is no such table, or it lacks a column; what is wrong with one row is a defect.
    """
    return settle(draft_table(path))


def draft_table(path: Path) -> Source:
    """What a table states; raises DataError as `read_table`."""
    root = path.parent if path.is_file() else path
    files = {"all": path} if path.is_file() else find_tables(path)
    tables = [_Table(root, split, file) for split, file in files.items()]
    images: dict[str, dict[Path, _Image]] = {}
    names: dict[str, int] = {}
    defects: list[Defect] = []
    for table in tables:
        table.read(images, names, defects)
    if "all" in images and len(images) > 1:
        raise DataError(f"{path}: some rows name a split and others do not; fill the column 'split', or remove it")
    ids = identify(root, {file: name_of(root, file) for found in images.values() for file in found})
    splits = {
        split: [_draft(file, image, ids[file]) for file, image in images[split].items()]
        for split in (*SPLITS, "all")
        if split in images
    }
    return Source("csv", root, tuple(names), read_names(root), splits, defects)


@dataclass
class _Image:
    """What the rows say of one image."""

    found: bool
    line: str
    size: tuple[float, float] | None
    group: str
    objects: list[Object] = field(default_factory=list)


class _Table:
    """One CSV file."""

    def __init__(self, root: Path, split: str, file: Path) -> None:
        self.root, self.split, self.file = root, split, file
        self.finders: dict[str, Finder] = {}
        self.paths: dict[tuple[str, str], Path | None] = {}

    def read(self, images: dict[str, dict[Path, _Image]], names: dict[str, int], defects: list[Defect]) -> None:
        """Add what the rows say to the images by split and file, the class names in the order met, and the defects."""
        for number, row in read_rows(self.file):
            where = f"{self.file.name}, line {number}"
            if not row.get("image"):
                defects.append(Defect("broken object", where, "the row names no image"))
                continue
            split = self._split(row, number)
            path = self._find(split, row["image"])
            image = images.setdefault(split, {}).setdefault(
                path or self.file.parent / row["image"],
                _Image(path is not None, where, _size(row), row.get("group", "")),
            )
            if any(row.get(name) for name in ("x1", "y1", "x2", "y2", "w", "h", "class")):
                found = _object(row, names)
                if found is None:
                    detail = f"{where}: the row lacks a class or a coordinate"
                    defects.append(Defect("broken object", without_suffix(Path(row["image"]).name), detail))
                else:
                    image.objects.append(found)

    def _split(self, row: Row, number: int) -> str:
        stated = row.get("split", "")
        if not stated or self.split != "all":
            return self.split
        split = split_of(stated)
        if split is None:
            near = suggest(stated, ("train", "validation", "test"))
            raise DataError(f"{self.file}, line {number}: '{stated[:40]}' is no split{near}")
        return split

    def _find(self, split: str, name: str) -> Path | None:
        if (split, name) not in self.paths:
            if split not in self.finders:
                self.finders[split] = Finder(image_folders(self.root, split, self.file))
            self.paths[split, name] = self.finders[split].find(name)
        return self.paths[split, name]


def _draft(file: Path, image: _Image, id: str) -> Draft:
    if not image.found:
        return unusable(id, file, "missing image", f"{image.line} names it, and no folder beside the table has it")
    return draft(id, file, image.objects, image.size, image.group)


def _object(row: Row, names: dict[str, int]) -> Object | None:
    """The object of a row; None where its class or a coordinate is missing."""
    x1, y1 = number_of(row.get("x1")), number_of(row.get("y1"))
    if "w" in row:
        x2, y2 = x1 + number_of(row["w"]), y1 + number_of(row.get("h"))
    else:
        x2, y2 = number_of(row.get("x2")), number_of(row.get("y2"))
    name = row.get("class", "")
    if not name or not all(map(math.isfinite, (x1, y1, x2, y2))):
        return None
    label = names.setdefault(name, len(names))
    return Object(label, (x1, y1, x2, y2), _flag(row, "difficult"), _flag(row, "crowd"), number_of(row.get("area")))


def _size(row: Row) -> tuple[float, float] | None:
    return (number_of(row["width"]), number_of(row["height"])) if "width" in row and "height" in row else None


def _flag(row: Row, key: str) -> bool:
    return row.get(key, "").lower() in ("1", "true", "yes")
