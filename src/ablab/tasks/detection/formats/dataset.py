"""A data set that is ready to train on: opened from a name or a path, cleaned, and fingerprinted."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ablab.errors import ConfigError, DataError
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.defect import sentences
from ablab.tasks.detection.formats.digests import digests
from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.layouts import voc
from ablab.tasks.detection.formats.layouts.draft import Source
from ablab.tasks.detection.formats.layouts.recognise import PHOTO_DIGITS, read_source
from ablab.tasks.detection.formats.layouts.settle import settle
from ablab.tasks.detection.formats.split_list import regroup
from ablab.tasks.detection.recipe import DetectionData

ITS_OWN = ("classes", "size", "scenes", "seed")  # fields that only photo-digits has
SPLITTING = ("splits", "fold")  # fields that it has not
UNUSABLE = ("missing image", "unreadable image", "missing annotation", "broken annotation", "size differs")


@dataclass(frozen=True)
class Dataset:
    """Class names in the order of their labels, the splits 'train', 'validation' and 'test', and what was left out.

    `root` is the folder that the data set came from; None where it was composed.
    """

    name: str
    classes: tuple[str, ...]
    splits: dict[str, tuple[Annotation, ...]]
    notes: tuple[str, ...] = ()
    root: Path | None = None


def open_dataset(data: DetectionData) -> Dataset:
    """Open what `data.path` names: photo-digits, or a folder or file in VOC, COCO, YOLO or CSV layout.

    `data.splits` and `data.fold` decide the splits where they are set. Boxes and images that cannot be used are left
    out, and the notes say so. Raises DataError where the path does not exist, the layout is another, there are no
    splits, or a split has no image that can be used; ConfigError where a field is set that would do nothing.
    """
    _refuse_idle_fields(data)
    if data.path == PHOTO_DIGITS:
        from ablab.tasks.detection.formats.photo_digits import compose

        classes, splits = compose(data)
        return Dataset(PHOTO_DIGITS, tuple(classes), dict(splits))
    source = read_source(Path(data.path))
    if data.splits is not None:
        source = regroup(source, Path(data.splits).expanduser(), data.fold)
    elif "all" in source.splits:
        raise DataError(
            f"{data.path} has no splits: {len(source.splits['all']):,} images, and nothing says which are for "
            f"training; run `ablab data split {data.path} --parts 6:2:2`, and let data.splits name the file it writes"
        )
    layout = settle(source)
    for split in ("train", "validation", "test"):
        if not layout.splits[split] and (split != "test" or "test" in source.splits):
            raise DataError(_empty(source, layout, split))
    if not any(len(a.boxes) for a in layout.splits["train"]):
        raise DataError(
            f"{layout.root}: the train split has no box that can be used{_reasons(layout)}; "
            f"run `ablab data check {data.path}`"
        )
    notes = sentences(layout.defects)
    if "test" not in source.splits:
        where = source.places.get("test")
        notes += (f"{where} is absent: there is no test split" if where else "there is no test split",)
    return Dataset(layout.root.resolve().name, layout.classes, layout.splits, notes, layout.root)


def manifest(dataset: Dataset) -> str:
    """16 hex digits over everything that could change a result: classes, splits, boxes and the images' bytes.

    Paths are left out, so that the same data has the same manifest on every machine. Raises DataError where an image
    has gone.
    """
    content = digests(dataset.root, (a.path for found in dataset.splits.values() for a in found))
    digest = hashlib.sha256(json.dumps([dataset.classes, sorted(dataset.splits)]).encode())
    for split in sorted(dataset.splits):
        for a in dataset.splits[split]:
            columns = [x.tolist() for x in (a.boxes, a.labels, a.difficult, a.crowd)]
            stated = [] if a.area is None else [a.area.tolist()]
            row = [split, a.id, a.width, a.height, a.group, *columns, *stated, content[a.path]]
            digest.update(json.dumps(row).encode())
    return digest.hexdigest()[:16]


def _refuse_idle_fields(data: DetectionData) -> None:
    """A field that does nothing would make a treatment the baseline (trap 1)."""
    composed = data.path == PHOTO_DIGITS
    idle = SPLITTING if composed else ITS_OWN
    fields = DetectionData.model_fields
    changed = [f"data.{name}" for name in idle if getattr(data, name) != fields[name].default]
    if changed:
        why = f"{PHOTO_DIGITS} has its own splits" if composed else f"only {PHOTO_DIGITS} has such a field"
        raise ConfigError(
            f"{' and '.join(changed)} would do nothing: {why}, and data.path is '{data.path}'; take it out"
        )
    if data.fold is not None and data.splits is None:
        raise ConfigError(
            "data.fold would do nothing: data.splits names no file with folds; `ablab data split` writes one"
        )


def _empty(source: Source, layout: Layout, split: str) -> str:
    """Why a split is empty, and what to do."""
    root, place = layout.root, source.places.get(split)
    mend = "let data.splits name a file that `ablab data split` writes"
    if layout.kind == "voc" and place == voc.LISTS[split]:
        mend = f"write the ids of its images into {root / place}, one a line"
    if split not in source.splits:
        absent = next((d.detail for d in layout.defects if d.kind == "missing list" and d.where == place), None)
        return f"{root}: {absent or f'there is no {split} split'}; {mend}"
    listed = {draft.id for draft in source.splits[split]}
    if not listed:
        return f"{root}: the {split} split is empty; {mend}"
    kinds = Counter(d.kind for d in layout.defects if d.kind in UNUSABLE and d.where in listed)
    why = ", ".join(f"{count} x {kind}" for kind, count in kinds.items())
    return f"{root}: no image of the {split} split can be used ({why}); run `ablab data check {root}`"


def _reasons(layout: Layout) -> str:
    """What the boxes were left out for, and in which unit they seem to be."""
    kinds = Counter(d.kind for d in layout.defects)
    unit = next((d.detail.rpartition(": ")[2] for d in layout.defects if d.kind == "wrong units"), "")
    why = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common(3))
    return f" ({why}{'; ' + unit if unit else ''})" if why else ""
