"""A data set in YOLO layout without a YAML file, told by its folders:

    {train,val,test}.txt   images/{train,val,test}/   {train,valid,test}/images/   {train,val,test}/    images/
    lists of images        labels/{train,val,test}/   {train,valid,test}/labels/   with labels beside   labels/

and last, images and labels in one folder. What comes first counts.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from ablab.errors import DataError
from ablab.tasks.detection.formats.layout import SPLITS, split_of
from ablab.tasks.detection.formats.layouts.class_names import read_names
from ablab.tasks.detection.formats.layouts.images import is_image, list_images
from ablab.tasks.detection.formats.layouts.yolo_described import NAMES, Described, read_list

LAYOUT = "images/{train,val,test}/ and labels/{train,val,test}/, or a data.yaml that names them"


def is_folders(root: Path) -> bool:
    """Whether a folder looks like one in YOLO layout, from a few of its names."""
    if (root / "images").is_dir() and (root / "labels").is_dir():
        return True
    places = [root, *_called(root).values()]
    return any((place / "images").is_dir() and (place / "labels").is_dir() for place in places) or any(
        map(_has_labels, places)
    )


def described_by_folders(root: Path) -> Described:
    """Images by split; only `all` where no folder is called after a split.

    Raises DataError where two folders are called after one split.
    """
    lists = _called(root, ".txt") if (root / "labels").is_dir() else {}
    if lists:
        return _described(root, {split: read_list(file, root) for split, file in lists.items()}, lists)
    folders = _called(root / "images") or _called(root)
    if not folders:
        images = root / "images" if (root / "images").is_dir() else root
        return _described(root, {"all": list_images(images)}, {})
    inner = {s: place / "images" if (place / "images").is_dir() else place for s, place in folders.items()}
    return _described(root, {split: list_images(folder) for split, folder in inner.items()}, inner)


def _described(root: Path, splits: dict[str, list[Path]], places: dict[str, Path]) -> Described:
    return Described(
        root, splits, read_names(root, NAMES), places={split: str(p.relative_to(root)) for split, p in places.items()}
    )


def _called(folder: Path, suffix: str = "") -> dict[str, Path]:
    """The folders, or files with a suffix, that are called after a split."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        split = split_of(path.stem if suffix else path.name)
        if split is None or (path.suffix != suffix or not path.is_file() if suffix else not path.is_dir()):
            continue
        if split in found:
            raise DataError(
                f"{folder}: {found[split].name} and {path.name} are both called after the {split} split; "
                "name the one you mean in a data.yaml (path, train, val, test, names)"
            )
        found[split] = path
    return {split: found[split] for split in SPLITS if split in found}


def _has_labels(folder: Path) -> bool:
    """Whether one of the first images has a label file beside it."""
    images = (path for path in folder.iterdir() if is_image(path.name))
    return any(path.with_suffix(".txt").is_file() for path in islice(images, 20))
