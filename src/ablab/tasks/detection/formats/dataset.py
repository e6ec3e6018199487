"""A data set that is ready to train on: opened from a name or a path, cleaned, and fingerprinted."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ablab.errors import ConfigError, DataError, suggest
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats import voc
from ablab.tasks.detection.formats.defect import Defect, sentences
from ablab.tasks.detection.formats.reading import read_bytes
from ablab.tasks.detection.recipe import DetectionData

PHOTO_DIGITS = "photo-digits"


@dataclass(frozen=True)
class Dataset:
    """Class names in the order of their labels, the splits 'train', 'validation' and 'test', and what was left out."""

    name: str
    classes: tuple[str, ...]
    splits: dict[str, tuple[Annotation, ...]]
    notes: tuple[str, ...] = ()


def open_dataset(data: DetectionData) -> Dataset:
    """Open what `data.path` names: photo-digits, or a folder in VOC layout.

    Boxes and images that cannot be used are left out, and the notes say so. Raises DataError where the path does not
    exist, the layout is another, or a split has no image that can be used; ConfigError where a field is set that only
    photo-digits has.
    """
    if data.path == PHOTO_DIGITS:
        from ablab.tasks.detection.formats.photo_digits import compose

        classes, splits = compose(data)
        return Dataset(PHOTO_DIGITS, tuple(classes), dict(splits))
    _refuse_other_fields(data)
    root = find(data.path)
    found = voc.read_voc(root)
    listed = not any(d.kind == "missing list" and d.where == voc.LISTS["test"] for d in found.defects)
    for split in ("train", "validation", "test") if listed else ("train", "validation"):
        if not found.splits[split]:
            raise DataError(_empty(root, split, found.defects))
    if not found.classes:
        raise DataError(f"{root}: the train split has no box that can be used; run `ablab data check {root}`")
    notes = sentences(found.defects)
    if not listed:
        notes += (f"{voc.LISTS['test']} is absent: there is no test split",)
    return Dataset(root.resolve().name, found.classes, found.splits, notes)


def find(path: str | Path) -> Path:
    """The folder at a path; raises DataError with the nearest name where nothing is there."""
    root = Path(path).expanduser()
    if root.is_dir():
        return root
    if root.exists():
        raise DataError(f"{root} is a file; expected a folder with {voc.LAYOUT}, or '{PHOTO_DIGITS}'")
    if str(path) == PHOTO_DIGITS:
        raise DataError(f"{PHOTO_DIGITS} is composed by ablab and has no folder; expected a folder with {voc.LAYOUT}")
    missing = root
    while not missing.parent.exists():
        missing = missing.parent
    try:
        beside = [folder.name for folder in missing.parent.iterdir() if folder.is_dir()]
    except OSError:
        beside = []
    what = f"{missing} does not exist" if missing != root else "it does not exist"
    raise DataError(f"no data set at {root}: {what}{suggest(missing.name, [*beside, PHOTO_DIGITS])}")


def manifest(dataset: Dataset) -> str:
    """16 hex digits over everything that could change a result: classes, splits, boxes and the images' bytes.

    Paths are left out, so that the same data has the same manifest on every machine. Raises DataError where an image
    has gone.
    """
    digest = hashlib.sha256(json.dumps([dataset.classes, sorted(dataset.splits)]).encode())
    for split in sorted(dataset.splits):
        for a in dataset.splits[split]:
            columns = [x.tolist() for x in (a.boxes, a.labels, a.difficult, a.crowd)]
            content = hashlib.sha256(read_bytes(a.path)).hexdigest()
            digest.update(json.dumps([split, a.id, a.width, a.height, a.group, *columns, content]).encode())
    return digest.hexdigest()[:16]


def _refuse_other_fields(data: DetectionData) -> None:
    """A field that does nothing would make a treatment the baseline (trap 1)."""
    fields = {name: field.default for name, field in DetectionData.model_fields.items() if name != "path"}
    changed = [f"data.{name}" for name, default in fields.items() if getattr(data, name) != default]
    if changed:
        raise ConfigError(
            f"{' and '.join(changed)} would do nothing: only {PHOTO_DIGITS} has such a field, and data.path is "
            f"'{data.path}'; take it out"
        )


def _empty(root: Path, split: str, defects: Sequence[Defect]) -> str:
    """Why a split is empty, and what to do."""
    file = root / voc.LISTS[split]
    if not file.is_file():
        other = next(d.detail for d in defects if d.where == voc.LISTS[split])
        return f"{root}: {other}; write the ids of its images into {file}, one a line"
    listed = {line.strip() for line in file.read_text("utf-8-sig").splitlines()} - {""}
    if not listed:
        return f"{root}: the {split} split is empty; write the ids of its images into {file}, one a line"
    kinds = Counter(d.kind for d in defects if d.kind in voc.UNUSABLE and d.where in listed)
    why = ", ".join(f"{count} x {kind}" for kind, count in kinds.items())
    return f"{root}: no image of the {split} split can be used ({why}); run `ablab data check {root}`"
