"""A data set as its files state it, before it is held against its images: what every reader of a layout makes."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.formats.layout import split_of
from ablab.tasks.detection.formats.layouts.images import without_suffix


class Object(NamedTuple):
    """One object: its label, four numbers in the unit of its `Source`, and the area where it is stated (else NaN)."""

    label: int
    box: tuple[float, float, float, float]
    difficult: bool = False
    crowd: bool = False
    area: float = math.nan


@dataclass(frozen=True, slots=True)
class Draft:
    """One image as stated. `size` is (width, height) where they are stated; `problem` says why it cannot be used.

    boxes (N, 4) in the unit of the `Source`, labels (N,) into its `names`, difficult and crowd (N,) bool, area (N,)
    with NaN where it is not stated.
    """

    id: str
    path: Path
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray
    area: np.ndarray
    size: tuple[float, float] | None = None
    group: str = ""
    problem: Defect | None = None


@dataclass(frozen=True)
class Source:
    """A data set as stated. Boxes are x1 y1 x2 y2 in `pixels`, or centre, width and height in `shares` of the image.

    Labels count in `names`; the data set's classes are the `declared` ones, or, where there are none, those that train
    has a box of. `splits` lacks a split that is not stated, and has only `all` where none is. `places` says where a
    split is stated, for messages.
    """

    kind: str
    root: Path
    names: tuple[str, ...]
    declared: tuple[str, ...]
    splits: dict[str, list[Draft]]
    defects: list[Defect]
    unit: Literal["pixels", "shares"] = "pixels"
    places: dict[str, str] = field(default_factory=dict)


def draft(
    id: str, path: Path, objects: Sequence[Object], size: tuple[float, float] | None = None, group: str = ""
) -> Draft:
    """A draft of an image's objects."""
    columns = zip(*objects, strict=True) if objects else ([], [], [], [], [])
    labels, boxes, difficult, crowd, area = columns
    return Draft(
        id,
        path,
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(difficult, bool),
        np.array(crowd, bool),
        np.array(area, np.float64),
        size,
        group,
    )


def unusable(id: str, path: Path, kind: str, detail: str) -> Draft:
    """An image that is stated, and cannot be used."""
    none, no = np.empty(0), np.empty(0, bool)
    return Draft(id, path, none.reshape(0, 4), none.astype(np.int64), no, no, none, problem=Defect(kind, id, detail))


def identify(root: Path, natural: Mapping[Path, str]) -> dict[Path, str]:
    """An id for each image file: its natural one, or its path from `root` where two files share that."""
    ids = dict(natural)
    for whole in (False, True):
        times = Counter(ids.values())
        ids = {path: name if times[name] == 1 else _from(root, path, whole) for path, name in ids.items()}
    return ids


def name_of(root: Path, image: Path) -> str:
    """The path of an image without suffix, less `images/` and the folder of its split: images/train/a/b.jpg is a/b."""
    *folders, name = Path(os.path.relpath(image, root)).parts
    if "images" in folders:
        folders = folders[folders.index("images") + 1 :]
    if folders and split_of(folders[0]):
        folders = folders[1:]
    return "/".join([*folders, without_suffix(name)] if ".." not in folders else [without_suffix(name)])


def _from(root: Path, path: Path, whole: bool) -> str:
    """The path from the root, with its suffix where the `whole` of it is asked for."""
    return Path(os.path.relpath(path if whole else path.with_suffix(""), root)).as_posix()
