"""What a data set states that no conversion keeps: outlines, keypoints, parts of objects, poses, licences."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.layouts.coco_files import find_files

ELEMENT = re.compile(rb"<([A-Za-z][\w.-]*)>\s*([^<]*?)\s*<(/?)")
VOC = {
    *("annotation", "folder", "filename", "path", "source", "database", "image", "flickrid", "owner", "size", "depth"),
    *("object", "name", "bndbox", "xmin", "ymin", "xmax", "ymax", "difficult", "width", "height"),
    *("crowd", "area", "group"),
}
NOTHING = {b"", b"0", b"Unspecified", b"Unknown"}  # what tools write where there is nothing to say
COCO = {
    "images": {"id", "file_name", "width", "height", "group"},
    "annotations": {"id", "image_id", "category_id", "bbox", "area", "iscrowd", "difficult"},
    "categories": {"id", "name"},
}


def leftovers(layout: Layout, path: Path) -> tuple[str, ...]:
    """Sentences about what is left behind when a data set, read from a path, is written in whatever layout."""
    outlines = [f"{defect.detail}, and only these are kept" for defect in layout.defects if defect.kind == "outlines"]
    found: Counter[str] = Counter()
    if layout.kind == "voc":
        found = _of_voc(layout)
    elif layout.kind == "coco":
        found = _of_coco([path] if path.is_file() else find_files(path).values())
        outlines.append("COCO's numbers of images, annotations and categories are given anew")
    kept = ", ".join(f"{name} ({count:,})" for name, count in found.most_common())
    return (*([f"not kept, since not all layouts have a place for it: {kept}"] if kept else []), *outlines)


def _of_voc(layout: Layout) -> Counter[str]:
    """Elements with something in them, in files that were read before and so are known to be sound."""
    found: Counter[str] = Counter()
    for image in (image for images in layout.splits.values() for image in images):
        for name, text, end in ELEMENT.findall((layout.root / "Annotations" / f"{image.id}.xml").read_bytes()):
            empty = text in NOTHING if text or end else False  # an element with elements in it is not empty
            if not empty and name.decode() not in VOC:
                found[name.decode()] += 1
    return found


def _of_coco(files: Iterable[Path]) -> Counter[str]:
    found: Counter[str] = Counter()
    for file in files:
        document: dict[str, Any] = json.loads(file.read_bytes())
        for table, known in COCO.items():
            for entry in document.get(table) or ():
                found.update(f"{key} of {table}" for key, value in entry.items() if value and key not in known)
    return found
