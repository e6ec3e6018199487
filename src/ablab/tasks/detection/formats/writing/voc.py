"""Write VOC layout: an XML file an image, and lists of ids."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.writing.images import SHORT, Put, number


def write_voc(layout: Layout, root: Path, put: Put) -> None:
    """JPEGImages/, Annotations/, ImageSets/Main/ unless it is not split, and classes.txt."""
    for split, images in layout.splits.items():
        for image in images:
            name = put(image, root / "JPEGImages")
            file = root / "Annotations" / f"{image.id}.xml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_xml(image, name, layout.classes))
        if images and split in SHORT:
            listed = root / "ImageSets" / "Main" / f"{SHORT[split]}.txt"
            listed.parent.mkdir(parents=True, exist_ok=True)
            listed.write_text("".join(f"{image.id}\n" for image in images), "utf-8")
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in layout.classes), "utf-8")


def _xml(image: Annotation, name: str, classes: tuple[str, ...]) -> bytes:
    tree = ET.Element("annotation")
    _add(tree, folder="JPEGImages", filename=name)
    _add(ET.SubElement(tree, "size"), width=image.width, height=image.height)
    if image.group:
        _add(tree, group=image.group)
    for i, (label, box) in enumerate(zip(image.labels.tolist(), image.boxes.tolist(), strict=True)):
        found = ET.SubElement(tree, "object")
        _add(found, name=classes[label], difficult=int(image.difficult[i]))
        if image.crowd[i]:
            _add(found, crowd=1)
        if image.area is not None:
            _add(found, area=number(image.area[i]))
        corners = dict(zip(("xmin", "ymin", "xmax", "ymax"), map(number, box), strict=True))
        _add(ET.SubElement(found, "bndbox"), **corners)
    ET.indent(tree)
    return ET.tostring(tree, "utf-8", xml_declaration=True)


def _add(parent: ET.Element, **texts: object) -> None:
    for name, text in texts.items():
        ET.SubElement(parent, name).text = str(text)
