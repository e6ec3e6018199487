"""Whether two layouts say the same of the same images."""

from __future__ import annotations

import numpy as np

from ablab.tasks.detection.boxes import Annotation, area
from ablab.tasks.detection.formats.layout import Layout

PIXELS = 1e-9  # what a YOLO file's shares may move a box by


def difference(one: Layout, other: Layout) -> str:
    """The first thing in which two layouts differ, in words; '' where they say the same.

    Compared are classes, splits, and of each image its id, size, suffix, group and objects, boxes to `PIXELS`; not the
    order of images in a split.
    """
    if one.classes != other.classes:
        return f"classes {_short(one.classes)} became {_short(other.classes)}"
    if one.splits.keys() != other.splits.keys():
        return f"splits {_short(one.splits)} became {_short(other.splits)}"
    for split, images in one.splits.items():
        mine, theirs = ({image.id: image for image in found} for found in (images, other.splits[split]))
        if mine.keys() != theirs.keys():
            lost, new = sorted(mine.keys() - theirs.keys()), sorted(theirs.keys() - mine.keys())
            return f"of {split}, the images {_short(lost)} became {_short(new)}"
        for id, image in mine.items():
            if found := _difference(image, theirs[id]):
                return f"image {id} of {split}: {found}"
    return ""


def _difference(one: Annotation, other: Annotation) -> str:
    for field in ("width", "height", "group", "labels", "difficult", "crowd"):
        a, b = getattr(one, field), getattr(other, field)
        if not np.array_equal(a, b):
            return f"{field} {_short(a)} became {_short(b)}"
    if one.path.suffix != other.path.suffix:
        return f"its file {one.path.name} became {other.path.name}"
    if not np.allclose(one.boxes, other.boxes, rtol=0, atol=PIXELS):
        return f"boxes {_short(one.boxes.tolist())} became {_short(other.boxes.tolist())}"
    before, after = (area(image.boxes) if image.area is None else image.area for image in (one, other))
    if not np.allclose(before, after, rtol=PIXELS, atol=PIXELS):
        return f"area {_short(before)} became {_short(after)}"
    return ""


def _short(value: object) -> str:
    text = str(list(value)) if isinstance(value, dict) else str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
