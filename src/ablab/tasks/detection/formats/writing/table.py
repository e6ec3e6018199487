"""Write a CSV table: one object a row, one row for an image without objects."""

from __future__ import annotations

import csv
from pathlib import Path

from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.writing.images import Put, number

BOX = ("xmin", "ymin", "xmax", "ymax", "class", "difficult", "crowd", "area")


def write_table(layout: Layout, root: Path, put: Put) -> None:
    """annotations.csv, images/ and classes.txt. There is no column `split` where it is not split."""
    split_column = () if "all" in layout.splits else ("split",)
    (root / "images").mkdir(parents=True)
    with (root / "annotations.csv").open("w", encoding="utf-8", newline="") as opened:
        table = csv.writer(opened, lineterminator="\n")
        table.writerow(("image", *split_column, *BOX, "group", "width", "height"))
        for split, images in layout.splits.items():
            for image in images:
                start = (put(image, root / "images"), *([split] if split_column else []))
                end = (image.group, image.width, image.height)
                for row in _objects(image, layout.classes) or [("",) * len(BOX)]:
                    table.writerow((*start, *row, *end))
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in layout.classes), "utf-8")


def _objects(image: Annotation, classes: tuple[str, ...]) -> list[tuple[object, ...]]:
    areas = [""] * len(image.labels) if image.area is None else [number(value) for value in image.area.tolist()]
    return [
        (*map(number, box), classes[label], int(difficult), int(crowd), area)
        for box, label, difficult, crowd, area in zip(
            image.boxes.tolist(), image.labels.tolist(), image.difficult, image.crowd, areas, strict=True
        )
    ]
