"""A defect of a data set, and what training says of the defects that it works around."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SHOWN = 5  # names in a note


@dataclass(frozen=True)
class Defect:
    """What is wrong (`kind`), with which image or file (`where`), and the particulars (`detail`)."""

    kind: str
    where: str
    detail: str


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
