"""Every defect of a data set in VOC layout, by name: what training works around, and what it could not know."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from ablab.errors import DataError
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.dataset import find
from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.formats.reading import decode, read_bytes
from ablab.tasks.detection.formats.voc import LISTS, Voc, read_voc

__all__ = ["Defect", "check"]


def check(path: Path, progress: Callable[[int, int], None] | None = None) -> list[Defect]:
    """Read a whole data set and decode every image; `progress` is called with (done, all) images.

    Defects come by split and image. Raises DataError where the folder is not in VOC layout.
    """
    voc = read_voc(find(path))
    defects = [*voc.defects, *_empty_splits(voc)]
    images = {image.id: image for split in voc.splits.values() for image in split}
    first: dict[bytes, str] = {}
    for done, image in enumerate(images.values(), 1):
        defects += _pixels(image, first)
        defects += _repeated(image, voc.classes)
        if progress:
            progress(done, len(images))
    return defects


def _empty_splits(voc: Voc) -> Iterable[Defect]:
    missing = {defect.where for defect in voc.defects if defect.kind == "missing list"}
    for split, images in voc.splits.items():
        if not images and LISTS[split] not in missing:
            yield Defect("empty split", LISTS[split], f"the {split} split has no image that can be used")


def _pixels(image: Annotation, first: dict[bytes, str]) -> Iterable[Defect]:
    """Decode an image, and hold its bytes against those before it."""
    try:
        data = read_bytes(image.path)
        content = hashlib.sha256(data).digest()
        other = first.setdefault(content, image.id)
        if other != image.id:
            yield Defect("same image", image.id, f"its file holds the same as that of {other}")
        decode(data, image.path)
    except DataError as error:
        yield Defect("unreadable image", image.id, str(error))


def _repeated(image: Annotation, classes: tuple[str, ...]) -> Iterable[Defect]:
    times = Counter((int(label), *box) for label, box in zip(image.labels, image.boxes.tolist(), strict=True))
    for (label, *box), count in times.items():
        if count > 1:
            x1, y1, x2, y2 = box
            detail = f"{classes[int(label)]} at {x1:g}, {y1:g}, {x2:g}, {y2:g} stands {count} times"
            yield Defect("duplicate box", image.id, detail)
