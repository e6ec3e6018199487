"""A defect of a data set, and what training says of the defects that it works around."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SHOWN = 5  # names in a note
GRAVITY = ("error", "warning", "note")


@dataclass(frozen=True)
class Defect:
    """What is wrong (`kind`), with which image or file (`where`), and the particulars (`detail`)."""

    kind: str
    where: str
    detail: str

    @property
    def severity(self) -> str:
        """One of `GRAVITY`.

        error: training leaves something out, or scores would be wrong. warning: somebody should look at it. note: worth
        knowing. A kind that no table below has is an error where training works around it, and a warning elsewhere.
        """
        if self.kind in WARNINGS:
            return "warning"
        if self.kind in NOTES:
            return "note"
        return "error" if self.kind in MET or self.kind in ERRORS else "warning"


ERRORS = {"empty split", "same image in two splits", "wrong units"}
WARNINGS = {
    "16-bit image",
    "CMYK image",
    "EXIF rotation",
    "annotation without image",
    "box of two classes",
    "box partly outside",
    "class count differs",
    "class missing from a split",
    "class without boxes",
    "classes of like name",
    "damaged image",
    "duplicate box",
    "duplicate id",
    "image in no split",
    "image without annotation",
    "missing list",
    "near-duplicate in two splits",
    "same image twice",
    "thin box",
    "tiny box",
    "two layouts",
}
NOTES = {
    "box of the whole image",
    "class with few boxes",
    "image with alpha",
    "image without label file",
    "list of images only",
    "near-duplicate",
    "no class names",
    "no test split",
    "non-ASCII name",
    "outlines",
    "palette image",
    "unlisted image",
}

# How training meets a defect, said for one and for many. Kinds that are not here change nothing in training.
MET = {
    "box without area": ("box without area was left out", "boxes without area were left out"),
    "inverted box": ("box with swapped corners was left out", "boxes with swapped corners were left out"),
    "box outside": ("box outside its image was left out", "boxes outside their image were left out"),
    "box partly outside": (
        "box partly outside its image was cut at the border",
        "boxes partly outside their image were cut at the border",
    ),
    "broken object": (
        "object without a readable name or box was left out",
        "objects without a readable name or box were left out",
    ),
    "unknown class": (
        "object of a class without a box in train was left out",
        "objects of classes without a box in train were left out",
    ),
    "missing image": ("missing image was left out", "missing images were left out"),
    "unreadable image": ("unreadable image was left out", "unreadable images were left out"),
    "missing annotation": ("image without annotation was left out", "images without annotation were left out"),
    "broken annotation": (
        "image whose annotation cannot be read was left out",
        "images whose annotation cannot be read were left out",
    ),
    "size differs": (
        "image that is not of the annotated size was left out",
        "images that are not of the annotated size were left out",
    ),
    "wrong units": ("box in a wrong unit was left out", "boxes in a wrong unit were left out"),
    "annotation without image": (
        "annotation without an image was left out",
        "annotations without an image were left out",
    ),
    "image without label file": (
        "image without a label file counts as one without objects",
        "images without a label file count as ones without objects",
    ),
    "unlisted image": (
        "image that data.splits does not list was left out",
        "images that data.splits does not list were left out",
    ),
    "list of images only": (
        "file without annotations is not used",
        "files without annotations are not used",
    ),
    "outlines": (
        "data set with outlines: boxes around them are used",
        "data sets with outlines: boxes around them are used",
    ),
    "no class names": (
        "data set without class names: its classes are 'class 0' and so on",
        "data sets without class names: their classes are 'class 0' and so on",
    ),
    "two layouts": (
        "data set is in another layout, too, which is not used",
        "data sets are in other layouts, too, which are not used",
    ),
    "duplicate id": ("repeated line of a split's list was left out", "repeated lines of a split's list were left out"),
    "id in two splits": (
        "image is in more than one split, which flatters the scores",
        "images are in more than one split, which flatters the scores",
    ),
}


def sentences(defects: Iterable[Defect]) -> tuple[str, ...]:
    """A sentence for each kind that training works around: how many, and the first few names."""
    found: dict[str, list[str]] = {}
    for defect in defects:
        if defect.kind in MET:
            found.setdefault(defect.kind, []).append(defect.where)
    return tuple(f"{len(found[kind])} {MET[kind][len(found[kind]) > 1]}: {_some(found[kind])}" for kind in found)


def _some(places: list[str]) -> str:
    names = sorted(set(places))
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
