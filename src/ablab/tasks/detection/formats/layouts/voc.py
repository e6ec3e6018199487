"""Data sets in VOC layout (Everingham et al. 2010, and what LabelImg and others write).

    JPEGImages/<id>.jpg    Annotations/<id>.xml    ImageSets/Main/{train,val,test}.txt, one id a line

Without any of the three lists the data set is not split. Coordinates are kept as written. VOC's own count pixels from 1
and include the last one, so that a box is (xmin - 1, ymin - 1, xmax, ymax) in ours; most tools that write this layout
count from 0. A file does not say which, and the difference is half a pixel at a box's centre, so nothing is subtracted.
An object may have `crowd` and `area` beside VOC's `difficult`, an image a `group`.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from ablab.errors import DataError, suggest
from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.layouts.class_names import read_names
from ablab.tasks.detection.formats.layouts.draft import Draft, Object, Source, draft, unusable
from ablab.tasks.detection.formats.layouts.images import Finder, list_images, without_suffix
from ablab.tasks.detection.formats.layouts.settle import settle
from ablab.tasks.detection.formats.reading import read_lines

FOLDERS = ("JPEGImages", "Annotations")
LAYOUT = "JPEGImages/<id>.jpg, Annotations/<id>.xml and ImageSets/Main/{train,val,test}.txt"
LISTS = {
    "train": "ImageSets/Main/train.txt",
    "validation": "ImageSets/Main/val.txt",
    "test": "ImageSets/Main/test.txt",
}


class _Refusing(ET.TreeBuilder):
    """Refuses a document type: entities are declared only there, and an entity bomb needs them.

    The parser calls this before it reads a declaration, whatever the file's encoding is.
    """

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called for <!DOCTYPE."""
        raise ValueError("it declares a document type (<!DOCTYPE), which annotations do not need and bombs do")


def read_voc(root: Path) -> Layout:
    """Read a folder: headers of the images, all annotations, no pixels.

    Classes are those of `classes.txt`, or the sorted names of the boxes that can be used in train. Raises DataError
    where the folder is not in this layout; anything smaller is a defect.
    """
    return settle(draft_voc(root))


def draft_voc(root: Path) -> Source:
    """What a folder in VOC layout states. Raises DataError where it is not in this layout."""
    check_layout(root)
    defects: list[Defect] = []
    if any((root / file).is_file() for file in LISTS.values()):
        listed = {split: ids for split in LISTS if (ids := _ids(root, split, defects)) is not None}
    else:
        listed = {"all": _every_id(root)}
    names: dict[str, int] = {}
    finder = Finder([root / "JPEGImages"])
    drafts = {
        id: _draft(root, id, finder, names, defects)
        for id in dict.fromkeys(id for ids in listed.values() for id in ids)
    }
    splits = {split: [drafts[id] for id in ids] for split, ids in listed.items()}
    return Source("voc", root, tuple(names), read_names(root), splits, defects, places=dict(LISTS))


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


def _every_id(root: Path) -> list[str]:
    images = [path.relative_to(root / "JPEGImages").as_posix() for path in list_images(root / "JPEGImages")]
    return sorted({*map(without_suffix, images), *(file.stem for file in (root / "Annotations").glob("*.xml"))})


def _ids(root: Path, split: str, defects: list[Defect]) -> list[str] | None:
    """The ids in a split's list, each once; None where there is no list."""
    file = root / LISTS[split]
    if not file.is_file():
        near = suggest(file.name, [other.name for other in file.parent.glob("*.txt")])
        defects.append(Defect("missing list", LISTS[split], f"the {split} split has no list{near}"))
        return None
    found: dict[str, int] = {}
    for number, line in enumerate(map(str.strip, read_lines(file, "one image id a line")), 1):
        if line in found:
            detail = f"{LISTS[split]} lists it in lines {found[line]} and {number}"
            defects.append(Defect("duplicate id", line, detail))
        elif line:
            found[line] = number
    return list(found)


def _draft(root: Path, id: str, finder: Finder, names: dict[str, int], defects: list[Defect]) -> Draft:
    path = finder.find(id)
    if path is None:
        expected = root / "JPEGImages" / f"{id}.jpg"
        return unusable(id, expected, "missing image", f"no JPEGImages/{id}.jpg (nor .png ...), but it is listed")
    file = root / "Annotations" / f"{id}.xml"
    if not file.is_file():
        detail = f"no Annotations/{id}.xml; an image without objects needs one, too, that holds none"
        return unusable(id, path, "missing annotation", detail)
    try:
        tree = ET.parse(file, ET.XMLParser(target=_Refusing())).getroot()
    except (ET.ParseError, ValueError, LookupError, OSError) as error:
        return unusable(id, path, "broken annotation", f"Annotations/{id}.xml: {error}")
    size = (_number(tree.findtext("size/width")), _number(tree.findtext("size/height")))
    return draft(id, path, list(_objects(tree, id, names, defects)), size, (tree.findtext("group") or "").strip())


def _objects(tree: ET.Element, id: str, names: dict[str, int], defects: list[Defect]) -> Iterable[Object]:
    for number, element in enumerate(tree.findall("object"), 1):
        name = (element.findtext("name") or "").strip()
        x1, y1, x2, y2 = (_number(element.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax"))
        if not name or not all(map(math.isfinite, (x1, y1, x2, y2))):
            defects.append(Defect("broken object", id, f"object {number} lacks a name or a coordinate"))
            continue
        label = names.setdefault(name, len(names))
        area = _number(element.findtext("area"))
        yield Object(label, (x1, y1, x2, y2), _flag(element, "difficult"), _flag(element, "crowd"), area)


def _flag(element: ET.Element, key: str) -> bool:
    return (element.findtext(key) or "").strip().lower() in ("1", "true")


def _number(text: str | None) -> float:
    """A number; NaN where there is none."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
