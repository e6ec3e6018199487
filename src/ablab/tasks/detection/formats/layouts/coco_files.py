"""Where a data set in COCO layout keeps its JSON files and images.

annotations/instances_{train,val,test}2017.json      train2017/ val2017/, or images/, images/train/ ...
{train,valid,test}/_annotations.coco.json            beside it (Roboflow)
annotations.json, or any one JSON file of COCO's     beside it, or in images/
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ablab.errors import DataError
from ablab.tasks.detection.formats.layout import one_each, split_of

LAYOUT = "annotations/instances_{train,val}*.json, {train,valid,test}/_annotations.coco.json, or one JSON file"
IMAGE_LIST = "image_info*.json"
HEAD = 65536  # bytes in which COCO's keys are looked for
_KEYS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')
_USUAL = re.compile(r"(instances.*|annotations|_annotations\.coco)\.json")


def is_coco(folder: Path) -> bool:
    """Whether a folder looks like one in COCO layout, from the names and the first bytes of its JSON files."""
    return bool(_candidates(folder))


def has_train(folder: Path) -> bool:
    """Whether a folder in COCO layout has a JSON file for train, or one that names no split."""
    splits = {split_in(file.stem) or split_of(file.parent.name) for file in _candidates(folder)}
    return not splits <= {"validation", "test"}


def find_files(folder: Path) -> dict[str, Path]:
    """The JSON file of each split, or of `all`. Raises DataError where there is none, or two for one split."""
    candidates = _candidates(folder)
    if not candidates:
        raise DataError(f"{folder} has no JSON file of COCO's; expected {LAYOUT}")
    called = {file: split_in(file.stem) or split_of(file.parent.name) for file in candidates}
    return one_each(folder, called, "COCO's")


def image_lists(folder: Path) -> list[Path]:
    """COCO's own lists of test images, which have no annotations."""
    return sorted((folder / "annotations").glob(IMAGE_LIST))


def split_in(stem: str) -> str | None:
    """The split that is named within a file's name: instances_val2017 is validation, annotations is none."""
    return next((split for word in re.split(r"[._\- ]", stem) if (split := split_of(word))), None)


def root_of(path: Path) -> Path:
    """The data set's folder, from the folder itself, its `annotations`, or a JSON file in either."""
    folder = path.parent if path.is_file() else path
    return folder.parent if folder.name.lower() == "annotations" else folder


def image_folders(root: Path, split: str, file: Path) -> list[Path]:
    """Where the images of a JSON file may be, the likeliest first; never in a folder of another split."""
    own = split_in(file.stem) if split == "all" else split
    tops = [file.parent, root, root / "images", root / "data"]
    called = [
        folder
        for top in tops
        if top.is_dir()
        for folder in sorted(top.iterdir())
        if own and split_of(folder.name) == own and folder.is_dir()
    ]
    inside = [folder / "images" for folder in called]
    return [
        *called,
        *inside,
        file.parent,
        file.parent / "images",
        root / "images",
        root,
        root / "data",
        root / "JPEGImages",
    ]


def _candidates(folder: Path) -> list[Path]:
    """JSON files of COCO's in the first of the usual places that has some."""
    inside = folder / "annotations"
    instances = sorted(inside.glob("instances*.json"))
    places: tuple[Iterable[Path], ...] = (
        instances or inside.glob("*.json"),
        [file for child in _folders(folder) if split_of(child.name) for file in child.glob("*.json")],
        sorted(folder.glob("instances*.json")) or folder.glob("*.json"),
    )
    for files in places:
        found = sorted(file for file in files if not file.match(IMAGE_LIST) and _is_cocos(file))
        if found:
            return found
    return []


def _folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else []


def _is_cocos(file: Path) -> bool:
    if _USUAL.fullmatch(file.name):
        return file.is_file()
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD)
    except OSError:
        return False
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and _KEYS.search(head) is not None
