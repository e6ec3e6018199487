"""Data sets in YOLO layout: a text file an image, one object a line, in shares of the image's width and height.

    <class> <centre x> <centre y> <width> <height>      or, for an outline:  <class> <x1> <y1> <x2> <y2> <x3> <y3> ...

The label file of `.../images/a/b.jpg` is `.../labels/a/b.txt`, or else stands beside the image. An image without one
has no objects. `attributes.csv` at the root may hold what such a line cannot (yolo_attributes.py). Splits and class
names come from a YAML file (yolo_yaml.py) or from the folders (yolo_folders.py). A box is read as
x1 = (centre x - width / 2) * image width, and so on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.layouts.draft import Draft, Object, Source, draft, identify, name_of, unusable
from ablab.tasks.detection.formats.layouts.images import is_image
from ablab.tasks.detection.formats.layouts.settle import settle
from ablab.tasks.detection.formats.layouts.yolo_attributes import Attributes, Beside, read_attributes
from ablab.tasks.detection.formats.layouts.yolo_folders import described_by_folders
from ablab.tasks.detection.formats.layouts.yolo_yaml import described_by_yaml, find_yaml

MOST_CLASSES = 10_000  # where nothing says how many there are


def read_yolo(path: Path) -> Layout:
    """Read a folder in YOLO layout, or the YAML file that describes one: headers of the images, all labels, no pixels.

    Raises DataError where the layout is another or the description is broken; anything smaller is a defect.
    """
    return settle(draft_yolo(path))


def draft_yolo(path: Path) -> Source:
    """What a data set in YOLO layout states; raises DataError as `read_yolo`."""
    file = path if path.is_file() else find_yaml(path)
    described = described_by_folders(path) if file is None else described_by_yaml(file)
    defects = list(described.defects)
    natural = {image: name_of(described.root, image) for images in described.splits.values() for image in images}
    ids = identify(described.root, natural)
    reader = _Labels(described.names, described.count, ids, read_attributes(described.root), defects)
    splits = {split: reader.read(split, images) for split, images in described.splits.items()}
    names = described.names
    if not names:
        names = tuple(f"class {i}" for i in range(max(described.count, reader.classes)))
        detail = "class names were found neither in a YAML file nor in classes.txt nor in obj.names"
        defects.append(Defect("no class names", described.root.name or str(described.root), detail))
    if reader.outlines:
        detail = f"{reader.outlines} outlines became their bounding boxes"
        defects.append(Defect("outlines", described.root.name or str(described.root), detail))
    return Source("yolo", described.root, names, names, splits, defects, "shares", described.places)


class _Labels:
    """Reads label files; each image once, however many splits it is in."""

    def __init__(
        self,
        names: Sequence[str],
        count: int,
        ids: dict[Path, str],
        attributes: Attributes,
        defects: list[Defect],
    ) -> None:
        self.limit = len(names) or count or MOST_CLASSES
        self.ids, self.attributes, self.defects = ids, attributes, defects
        self.drafts: dict[Path, Draft] = {}
        self.classes = 0
        self.outlines = 0

    def read(self, split: str, images: Sequence[Path]) -> list[Draft]:
        """The drafts of a split's images, each once."""
        for image, times in Counter(images).items():
            if times > 1:
                self.defects.append(
                    Defect("duplicate id", self.ids[image], f"the {split} split lists it {times} times")
                )
            if image not in self.drafts:
                self.drafts[image] = self._draft(split, image)
        return [self.drafts[image] for image in dict.fromkeys(images)]

    def _draft(self, split: str, image: Path) -> Draft:
        id = self.ids[image]
        if not is_image(image.name):
            return unusable(id, image, "unreadable image", f"the {split} split lists it, and its name is no image's")
        files = label_files(image)
        for file in files:
            try:
                lines = file.read_text("utf-8-sig").splitlines()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, UnicodeDecodeError) as error:
                return unusable(id, image, "broken annotation", f"{file.name}: {error}")
            objects = dict(self._objects(id, lines))
            stated = self.attributes.get((split, id)) or self.attributes.get((split, file.stem)) or Beside()
            for number, fields in stated.objects.items():
                if number in objects:
                    objects[number] = objects[number]._replace(**fields)
            return draft(id, image, list(objects.values()), group=stated.group)
        if image.is_file():
            detail = f"no {files[0].parent.name}/{files[0].name}: it counts as an image without objects"
            self.defects.append(Defect("image without label file", id, detail))
        return draft(id, image, [])

    def _objects(self, id: str, lines: Sequence[str]) -> Iterable[tuple[int, Object]]:
        """(index of the line, object) for every line that can be read."""
        for index, line in enumerate(lines):
            words = line.split()
            if not words:
                continue
            where = f"line {index + 1}"
            try:
                number, *values = map(float, words)
            except ValueError:
                number, values = math.nan, []
            outline = len(values) >= 6 and len(values) % 2 == 0
            if not (len(values) == 4 or outline) or not number.is_integer() or not all(map(math.isfinite, values)):
                detail = f"{where}: expected a class and four numbers, or a class and an outline, got '{line[:60]}'"
                self.defects.append(Defect("broken object", id, detail))
            elif not 0 <= number < self.limit:
                detail = f"{where}: class {number:g}, but the classes are 0 to {self.limit - 1:g}"
                if number < 0:
                    detail = f"{where}: class {number:g}, but classes count from 0"
                self.defects.append(Defect("unknown class", id, detail))
            else:
                self.outlines += outline
                self.classes = max(self.classes, int(number) + 1)
                yield index, Object(int(number), _box(values))


def _box(values: Sequence[float]) -> tuple[float, float, float, float]:
    """Centre, width and height, of a box as it is or of one around an outline."""
    if len(values) == 4:
        return values[0], values[1], values[2], values[3]
    xs, ys = values[::2], values[1::2]
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2, max(xs) - min(xs), max(ys) - min(ys)


def label_files(image: Path) -> list[Path]:
    """Where an image's labels may stand, the likelier place first: in `labels/` for `images/`, or beside the image."""
    beside = image.with_suffix(".txt")
    parts = beside.parts
    places = [i for i, part in enumerate(parts[:-1]) if part == "images"]
    if not places:
        return [beside]
    return [Path(*parts[: places[-1]], "labels", *parts[places[-1] + 1 :]), beside]
