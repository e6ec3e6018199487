"""Write YOLO layout: a text file an image, one object a line, in shares of the image's sides."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import yaml

from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.layouts.yolo import label_files
from ablab.tasks.detection.formats.layouts.yolo_attributes import ATTRIBUTES, COLUMNS
from ablab.tasks.detection.formats.writing.images import SHORT, Put, number


def write_yolo(layout: Layout, root: Path, put: Put) -> None:
    """images/{train,val,test}/ with labels/ and data.yaml; images/, labels/ and classes.txt where it is not split.

    attributes.csv is written where an object is difficult or a crowd, has an area of its own, or an image has a group.
    """
    rows: list[tuple[object, ...]] = []
    described: dict[str, object] = {}  # no `path`: folders are relative to the file, and to nobody's working directory
    for split, images in layout.splits.items():
        folder = Path("images", SHORT.get(split, ""))
        for image in images:
            place = root / folder / put(image, root / folder)
            file = root / label_files(place.relative_to(root))[0]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_lines(image), "utf-8")
            rows += _attributes(image, split)
        if images and split in SHORT:
            described[SHORT[split]] = folder.as_posix()
    if "all" in layout.splits:
        (root / "classes.txt").write_text("".join(f"{name}\n" for name in layout.classes), "utf-8")
    else:
        described["names"] = dict(enumerate(layout.classes))
        (root / "data.yaml").write_text(yaml.safe_dump(described, allow_unicode=True, sort_keys=False), "utf-8")
    if rows:
        with (root / ATTRIBUTES).open("w", encoding="utf-8", newline="") as opened:
            table = csv.writer(opened, lineterminator="\n")
            table.writerows([COLUMNS, *rows])


def _lines(image: Annotation) -> str:
    sides = np.array([image.width, image.height], np.float64)
    centres = (image.boxes[:, :2] + image.boxes[:, 2:]) / 2 / sides
    lengths = (image.boxes[:, 2:] - image.boxes[:, :2]) / sides
    return "".join(
        f"{label} {' '.join(str(number(value)) for value in (*centre, *length))}\n"
        for label, centre, length in zip(image.labels.tolist(), centres.tolist(), lengths.tolist(), strict=True)
    )


def _attributes(image: Annotation, split: str) -> list[tuple[object, ...]]:
    """A row for each object that has some; one without an object for the image's group."""
    areas = [""] * len(image.labels) if image.area is None else [number(value) for value in image.area.tolist()]
    rows: list[tuple[object, ...]] = [
        (split, image.id, i, int(difficult), int(crowd), area, "")
        for i, (difficult, crowd, area) in enumerate(zip(image.difficult, image.crowd, areas, strict=True))
        if difficult or crowd or area != ""
    ]
    return rows + ([(split, image.id, "", "", "", "", image.group)] if image.group else [])
