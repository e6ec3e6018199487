"""The YAML file that describes a data set in YOLO layout.

path: ../coco128              optional, relative to this file
train: images/train2017       a folder, a list of images (.txt), or several of them; relative to `path`
val: images/train2017
test:                         optional
names: {0: person, 1: car}    or a list; or only  nc: 2
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ablab.config import parse_yaml
from ablab.errors import ConfigError, DataError
from ablab.tasks.detection.formats.coco import unique_names
from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.formats.layout import SPLITS, split_of
from ablab.tasks.detection.formats.layouts.class_names import read_names
from ablab.tasks.detection.formats.layouts.images import is_image, list_images
from ablab.tasks.detection.formats.layouts.yolo_described import NAMES, Described, read_list
from ablab.tasks.detection.formats.reading import read_lines

MOST_BYTES = 1_000_000  # a description is a page; what is larger is something else, or a bomb
USUAL = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")


def find_yaml(folder: Path) -> Path | None:
    """The YAML file in a folder that describes a data set; None where there is none.

    Raises DataError where there are several, and none has a usual name.
    """
    for name in USUAL:
        if (folder / name).is_file():
            return folder / name
    found = [file for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]) if _describes(file)]
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise DataError(f"{folder}: {names} each describe a data set; name the file that you mean")
    return found[0] if found else None


def is_described(folder: Path) -> bool:
    """Whether a YAML file in a folder describes a data set."""
    try:
        file = find_yaml(folder)
    except DataError:
        return True
    return file is not None and (file.stem == "data" or _describes(file))


def described_by_yaml(file: Path) -> Described:
    """What a YAML file says. Raises DataError, naming the key, where it cannot be understood."""
    data = _load(file)
    base = _base(file, data.get("path"))
    splits: dict[str, list[Path]] = {}
    places: dict[str, str] = {}
    defects: list[Defect] = []
    for key, value in data.items():
        split = split_of(key) if isinstance(key, str) else None
        if split is None or value in (None, "", []):
            continue
        if split in splits:
            raise DataError(f"{file}: the {split} split is named twice; keep one of the keys")
        entries = value if isinstance(value, list) else [value]
        if not all(isinstance(entry, str) for entry in entries):
            raise DataError(f"{file}: '{key}' should be a folder, a list of images (.txt) or several of them")
        places[split] = ", ".join(entries)
        found = [_place(file, base, entry) for entry in entries]
        absent = [entry for entry, place in zip(entries, found, strict=True) if place is None]
        if absent:
            detail = f"the {split} split is {', '.join(absent)} in {file.name}, and nothing is there"
            defects.append(Defect("missing list", places[split], detail))
        if len(absent) < len(entries):
            splits[split] = [image for place in found if place for image in _images(file, base, place)]
    if not places:
        raise DataError(f"{file}: expected the keys train and val, each a folder of images; got {_keys(data)}")
    names, count = _names(file, data)
    if names and count not in (0, len(names)):
        defects.append(Defect("class count differs", file.name, f"nc is {count}, but {len(names)} names are given"))
    ordered = {split: splits[split] for split in SPLITS if split in splits}
    return Described(base, ordered, names or read_names(base, NAMES), count, places, tuple(defects))


def _describes(file: Path) -> bool:
    try:
        data = _load(file)
    except DataError:
        return False
    return any(isinstance(key, str) and split_of(key) for key in data) and not {"names", "nc"}.isdisjoint(data)


def _load(file: Path) -> dict[Any, Any]:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise DataError(
                f"{file} is larger than {MOST_BYTES:,} bytes; expected a page that names folders and classes"
            )
        return parse_yaml("\n".join(read_lines(file, "YAML with train, val and names")), str(file))
    except (ConfigError, ValueError, TypeError, RecursionError, OSError) as error:
        raise DataError(
            str(error) if isinstance(error, ConfigError) else f"{file}: this is not valid YAML: {error}"
        ) from None


def _base(file: Path, stated: Any) -> Path:
    """The folder that paths are relative to: `path` where it exists, else the file's own."""
    if stated is not None and not isinstance(stated, str):
        raise DataError(f"{file}: 'path' should be a folder, got a {type(stated).__name__}")
    own = file.parent
    return next((p for p in (own / stated, Path(stated)) if os.path.isdir(p)), own) if stated else own


def _place(file: Path, base: Path, entry: str) -> Path | None:
    """Where an entry is. Roboflow writes `../train/images` and means `train/images`."""
    bases = (base, file.parent, file.parent / "images")
    return next((p for e in (entry, entry.removeprefix("../")) for b in bases if os.path.exists(p := b / e)), None)


def _images(file: Path, base: Path, place: Path) -> list[Path]:
    if place.is_dir():
        return list_images(place)
    if place.suffix == ".txt":
        return read_list(place, base)
    if is_image(place.name):
        return [place]
    raise DataError(f"{file}: {place} is neither a folder, nor a list of images (.txt), nor an image")


def _names(file: Path, data: dict[Any, Any]) -> tuple[tuple[str, ...], int]:
    """Class names, and their number where only that is stated."""
    stated, count = data.get("names"), data.get("nc", 0)
    if not isinstance(count, int) or count < 0 or count > 100_000:
        raise DataError(f"{file}: 'nc' should be the number of classes, got a {type(count).__name__}")
    if stated is None:
        return (), count
    if isinstance(stated, list):
        stated = dict(enumerate(stated))
    try:
        by_index = {int(index): name for index, name in stated.items()}
    except (AttributeError, ValueError, TypeError):
        raise DataError(f"{file}: 'names' should be a list, or a mapping of numbers to names") from None
    if any(isinstance(name, list | dict) for name in by_index.values()):
        raise DataError(f"{file}: 'names' holds a list or a mapping where a name is expected")
    if by_index and not 0 <= min(by_index) <= max(by_index) < 100_000:
        raise DataError(f"{file}: 'names' should count from 0, got {min(by_index)} to {max(by_index)}")
    every = range(max(by_index, default=-1) + 1)
    return unique_names({i: str(by_index.get(i, f"class {i}")) for i in every}, every), count


def _keys(data: dict[Any, Any]) -> str:
    return ", ".join(str(key)[:40] for key in list(data)[:8]) or "nothing"
