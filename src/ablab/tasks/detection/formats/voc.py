"""Data sets in VOC layout (Everingham et al. 2010, and what LabelImg and others write).

    JPEGImages/<id>.jpg    Annotations/<id>.xml    ImageSets/Main/{train,val,test}.txt, one id a line

Coordinates are kept as written. VOC's own count pixels from 1 and include the last one, so that a box is
(xmin - 1, ymin - 1, xmax, ymax) in ours; most tools that write this layout count from 0. A file does not say which, and
the difference is half a pixel at a box's centre, so nothing is subtracted.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ablab.errors import DataError, suggest
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.formats.reading import measure

FOLDERS = ("JPEGImages", "Annotations", "ImageSets/Main")
LAYOUT = "JPEGImages/<id>.jpg, Annotations/<id>.xml and ImageSets/Main/{train,val,test}.txt"
LISTS = {
    "train": "ImageSets/Main/train.txt",
    "validation": "ImageSets/Main/val.txt",
    "test": "ImageSets/Main/test.txt",
}
UNUSABLE = ("missing image", "unreadable image", "missing annotation", "broken annotation", "size differs")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".JPG", ".JPEG", ".PNG")


@dataclass(frozen=True)
class Voc:
    """What can be used of a folder, and every defect that was met in reading it."""

    classes: tuple[str, ...]
    splits: dict[str, tuple[Annotation, ...]]
    defects: tuple[Defect, ...]


@dataclass(frozen=True)
class _Object:
    name: str
    box: tuple[float, float, float, float]
    difficult: bool


@dataclass(frozen=True)
class _Image:
    id: str
    path: Path
    width: int
    height: int
    objects: tuple[_Object, ...]


class _Refusing(ET.TreeBuilder):
    """Refuses a document type: entities are declared only there, and an entity bomb needs them.

    The parser calls this before it reads a declaration, whatever the file's encoding is.
    """

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called for <!DOCTYPE."""
        raise ValueError("it declares a document type (<!DOCTYPE), which annotations do not need and bombs do")


def read_voc(root: Path) -> Voc:
    """Read a folder: headers of the images, all annotations, no pixels.

    Classes are the sorted names of the boxes that can be used in train. Raises DataError where the folder is not in
    this layout; anything smaller is a defect.
    """
    check_layout(root)
    defects: list[Defect] = []
    ids = {split: _ids(root, split, defects) for split in LISTS}
    defects += _shared(ids)
    names = dict.fromkeys(name for split in ids.values() for name in split)
    images = {name: image for name in names if (image := _image(root, name, defects)) is not None}
    train = [images[name] for name in ids["train"] if name in images]
    classes = tuple(sorted({item.name for image in train for item in image.objects}))
    usable = {name: _annotation(image, classes, defects) for name, image in images.items()}
    splits = {split: tuple(usable[name] for name in ids[split] if name in usable) for split in ids}
    return Voc(classes, splits, tuple(defects))


def check_layout(root: Path) -> None:
    """Raise DataError unless the folder is in VOC layout; it says what is absent."""
    absent = [folder for folder in FOLDERS if not (root / folder).is_dir()]
    if not absent:
        return
    inside = sorted({found.parent for deep in ("*", "*/*") for found in root.glob(f"{deep}/JPEGImages")})
    near = f"; did you mean {inside[0]}?" if inside else ""
    raise DataError(
        f"{root} is not in VOC layout: it has no {' and no '.join(absent)}{near or '.'} "
        f"Expected {LAYOUT}; 'photo-digits' is the embedded data set"
    )


def _ids(root: Path, split: str, defects: list[Defect]) -> list[str]:
    """The ids in a split's list, each once."""
    file = root / LISTS[split]
    if not file.is_file():
        near = suggest(file.name, [other.name for other in file.parent.glob("*.txt")])
        defects.append(Defect("missing list", LISTS[split], f"the {split} split has no list{near}"))
        return []
    try:
        lines = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {file}: {error}; expected one image id a line, in UTF-8") from None
    found: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line in found:
            detail = f"{LISTS[split]} lists it in lines {found[line]} and {number}"
            defects.append(Defect("duplicate id", line, detail))
        elif line:
            found[line] = number
    return list(found)


def _shared(ids: dict[str, list[str]]) -> Iterable[Defect]:
    splits: dict[str, list[str]] = {}
    for split, names in ids.items():
        for name in names:
            splits.setdefault(name, []).append(split)
    for name, found in splits.items():
        if len(found) > 1:
            yield Defect("id in two splits", name, f"it is in {' and '.join(found)}")


def _image(root: Path, name: str, defects: list[Defect]) -> _Image | None:
    """An image with the boxes that can be used; None, with a defect, where the image cannot."""
    path = next((p for suffix in SUFFIXES if (p := root / "JPEGImages" / f"{name}{suffix}").is_file()), None)
    if path is None:
        defects.append(Defect("missing image", name, f"no JPEGImages/{name}.jpg (nor .png ...), but it is listed"))
        return None
    try:
        width, height = measure(path)
    except DataError as error:
        defects.append(Defect("unreadable image", name, str(error)))
        return None
    tree = _parse(root / "Annotations" / f"{name}.xml", name, defects)
    if tree is None or not _fits(tree, name, (width, height), defects):
        return None
    return _Image(name, path, width, height, tuple(_objects(tree, name, width, height, defects)))


def _parse(file: Path, name: str, defects: list[Defect]) -> ET.Element | None:
    if not file.is_file():
        detail = f"no Annotations/{file.name}; an image without objects needs one, too, that holds none"
        defects.append(Defect("missing annotation", name, detail))
        return None
    try:
        return ET.parse(file, ET.XMLParser(target=_Refusing())).getroot()
    except (ET.ParseError, ValueError, LookupError, OSError) as error:
        defects.append(Defect("broken annotation", name, f"Annotations/{file.name}: {error}"))
        return None


def _fits(tree: ET.Element, name: str, size: tuple[int, int], defects: list[Defect]) -> bool:
    """Whether the annotated size is the image's. A size of 0, as some tools write, says nothing."""
    stated = tuple(_number(tree.findtext(f"size/{side}")) for side in ("width", "height"))
    if stated == size or not any(side > 0 for side in stated):
        return True
    detail = f"annotated as {stated[0]:g} x {stated[1]:g}, but the image is {size[0]} x {size[1]}"
    defects.append(Defect("size differs", name, f"{detail}: its boxes may stand elsewhere"))
    return False


def _objects(tree: ET.Element, name: str, width: int, height: int, defects: list[Defect]) -> Iterable[_Object]:
    for number, element in enumerate(tree.findall("object"), 1):
        label = (element.findtext("name") or "").strip()
        x1, y1, x2, y2 = (_number(element.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax"))
        if not label or not all(map(math.isfinite, (x1, y1, x2, y2))):
            defects.append(Defect("broken object", name, f"object {number} lacks a name or a coordinate"))
            continue
        kind = judge((x1, y1, x2, y2), width, height)
        if kind:
            detail = f"{label} at {x1:g}, {y1:g}, {x2:g}, {y2:g} in an image of {width} x {height}"
            defects.append(Defect(kind, name, detail))
        if kind in ("", "box partly outside"):
            cut = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
            yield _Object(label, cut, (element.findtext("difficult") or "").strip().lower() in ("1", "true"))


def judge(box: tuple[float, float, float, float], width: int, height: int) -> str:
    """What is wrong with a box in an image, as the kind of a defect; '' where nothing is."""
    x1, y1, x2, y2 = box
    if x2 < x1 or y2 < y1:
        return "inverted box"
    if x2 == x1 or y2 == y1:
        return "box without area"
    if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        return "box outside"
    return "box partly outside" if x1 < 0 or y1 < 0 or x2 > width or y2 > height else ""


def _annotation(image: _Image, classes: tuple[str, ...], defects: list[Defect]) -> Annotation:
    """An image whose objects all have a class that train has."""
    known = [item for item in image.objects if item.name in classes]
    for item in image.objects:
        if item.name not in classes:
            detail = f"train has no box of class '{item.name}'{suggest(item.name, classes)}"
            defects.append(Defect("unknown class", image.id, detail))
    return Annotation(
        image.id,
        image.path,
        image.width,
        image.height,
        boxes=np.array([item.box for item in known], np.float64).reshape(-1, 4),
        labels=np.array([classes.index(item.name) for item in known], np.int64),
        difficult=np.array([item.difficult for item in known], bool),
        crowd=np.zeros(len(known), bool),
    )


def _number(text: str | None) -> float:
    """A number; NaN where there is none."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
