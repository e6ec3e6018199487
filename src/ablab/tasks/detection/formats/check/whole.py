"""Every defect of a data set, by name: what training works around, and what it could not know.

    layout  --headers, labels-->  the reader's own defects, names, splits, strays, boxes
            --every image, once-> check_images  -->  pixels (an image by itself), copies (images among each other)

What each kind means for training, and how grave it is, stands in `defect.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ablab.tasks.detection.formats.check.boxes import box_defects
from ablab.tasks.detection.formats.check.copies import Member, copy_defects
from ablab.tasks.detection.formats.check.images import look_at_all
from ablab.tasks.detection.formats.check.names import name_defects
from ablab.tasks.detection.formats.check.pixels import pixel_defects
from ablab.tasks.detection.formats.check.splits import split_defects
from ablab.tasks.detection.formats.check.strays import stray_defects
from ablab.tasks.detection.formats.defect import GRAVITY, Defect
from ablab.tasks.detection.formats.layout import Layout

__all__ = ["check"]


def check(
    layout: Layout, progress: Callable[[int, int], None] | None = None, workers: int | None = None
) -> list[Defect]:
    """All defects of a data set that was read, the grave ones first; every image is decoded once.

    `progress` is called with (done, all) images. `workers` processes decode, one for each core where it is not given.
    """
    members: dict[Path, Member] = {}
    for split, images in layout.splits.items():
        for annotation in images:
            members.setdefault(annotation.path, Member(split, annotation))
    looks = look_at_all([*members], progress, workers)
    found = [*layout.defects, *split_defects(layout), *stray_defects(layout), *name_defects(layout)]
    for member, look in zip(members.values(), looks, strict=True):
        found += pixel_defects(member.image, look)
        found += box_defects(member.image, layout.classes)
    found += copy_defects([*members.values()], looks)
    # A reader and a family of checks may meet the same.
    return sorted(dict.fromkeys(found), key=lambda defect: GRAVITY.index(defect.severity))
