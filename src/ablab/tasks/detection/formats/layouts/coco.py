"""Data sets in COCO layout: one JSON file a split, or one for all; cocodataset.org/#format-data.

    {"images":      [{"id", "file_name", "width", "height"}],
     "categories":  [{"id", "name"}],
     "annotations": [{"image_id", "category_id", "bbox": [x, y, w, h], "area", "iscrowd"}]}

An image may also have a `group`, an annotation `difficult` (VOC's). Outlines and keypoints are not read. Where the
files stand is told in coco_files.py. The evaluator reads such files by coco.py, which is strict.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ablab.errors import DataError
from ablab.tasks.detection.formats.coco import entries_of, kind_of, load_json, sorted_ids, unique_names
from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.layouts.coco_files import find_files, image_folders, image_lists, root_of
from ablab.tasks.detection.formats.layouts.draft import Draft, Object, Source, draft, identify, unusable
from ablab.tasks.detection.formats.layouts.images import Finder, without_suffix
from ablab.tasks.detection.formats.layouts.settle import settle


def read_coco(path: Path) -> Layout:
    """Read a folder in COCO layout, or one JSON file: all annotations, headers of the images, no pixels.

    Raises DataError where a file is not COCO's; what is wrong with one image or object is a defect.
    """
    return settle(draft_coco(path))


def draft_coco(path: Path) -> Source:
    """What a data set in COCO layout states; raises DataError as `read_coco`.

    The classes are those of the train split, by their ids; the other splits are matched by name.
    """
    root = root_of(path)
    files = {"all": path} if path.is_file() else find_files(path)
    defects: list[Defect] = []
    tables = {split: _Table(file, split, defects) for split, file in files.items()}
    bare = [] if path.is_file() else image_lists(path)
    if "test" in tables and not tables["test"].annotated and len(tables) > 1:
        bare.append(tables.pop("test").file)
    for file in bare:
        detail = "it lists images without annotations, so it is no split"
        defects.append(Defect("list of images only", os.path.relpath(file, root), detail))
    finders = {split: Finder(image_folders(root, split, table.file)) for split, table in tables.items()}
    found = {split: [finders[split].find(name) for name in table.file_names] for split, table in tables.items()}
    natural = {
        path: _natural(name)
        for split, table in tables.items()
        for name, path in zip(table.file_names, found[split], strict=True)
        if path is not None
    }
    ids = identify(root, natural)
    names = next(iter(tables.values())).names
    splits = {split: table.drafts(names, found[split], ids) for split, table in tables.items()}
    places = {split: os.path.relpath(table.file, root) for split, table in tables.items()}
    return Source("coco", root, names, names, splits, defects, places=places)


def _natural(name: str) -> str:
    """The file's name without suffix, with its folders where they lead down; '' for ''."""
    if not name:
        return name
    plain = os.path.normpath(name.replace("\\", "/")).replace(os.sep, "/")
    return without_suffix(plain.rpartition("/")[2] if plain.startswith(("/", "..")) or ":" in plain else plain)


class _Table:
    """One JSON file."""

    def __init__(self, file: Path, split: str, defects: list[Defect]) -> None:
        data = load_json(file, _lighter)
        if not isinstance(data, dict):
            raise DataError(
                f"{file}: expected COCO's instances, a mapping, got {kind_of(data)}; is it a file of detections?"
            )
        self.file, self.defects = file, defects
        self.images = entries_of(data, "images", file)
        bare = "annotations" not in data and split == "test"  # as COCO's own image_info_test-dev2017.json
        self.annotations = [] if bare else entries_of(data, "annotations", file)
        info = data.get("info")  # `annotated` is ours: without annotations there are no objects
        self.annotated = bool(self.annotations or (isinstance(info, dict) and info.get("annotated") is True))
        self.image_ids = sorted_ids(self.images, "images", file)
        categories = entries_of(data, "categories", file)
        ids = sorted_ids(categories, "categories", file)
        if not ids:
            raise DataError(f"{file}: 'categories' is empty; name the classes there: [{{'id': 1, 'name': 'cat'}}, ...]")
        nameless = next((i for i, entry in enumerate(categories) if not isinstance(entry.get("name"), str)), None)
        if nameless is not None:
            raise DataError(f"{file}: categories[{nameless}] has no 'name' that is a text")
        self.names = unique_names({entry["id"]: entry["name"] for entry in categories}, ids)
        self.categories = dict(zip(ids, self.names, strict=True))

    @property
    def file_names(self) -> list[str]:
        """What each image's file is called; '' where that is not said."""
        names = (image.get("file_name") for image in self.images)
        return [name if isinstance(name, str) else "" for name in names]

    def drafts(self, names: Sequence[str], paths: Sequence[Path | None], ids: dict[Path, str]) -> list[Draft]:
        """The images in the order of the file; `names` are the data set's classes."""
        index = {name: label for label, name in enumerate(names)}
        labels = {id: index.get(name, -1) for id, name in self.categories.items()}
        called = {
            image["id"]: ids[path] if path else _natural(name) or f"images[{i}]"
            for i, (image, name, path) in enumerate(zip(self.images, self.file_names, paths, strict=True))
        }
        objects: dict[Any, list[Object]] = {id: [] for id in called}
        for i, entry in enumerate(self.annotations):
            self._place(i, entry, objects, labels, called)
        drafts: dict[str, Draft] = {}
        for image, path in zip(self.images, paths, strict=True):
            id = called[image["id"]]
            if id in drafts:
                self.defects.append(Defect("duplicate id", id, f"{self.file.name} has two images of this file"))
            else:
                drafts[id] = self._draft(image, id, path, objects[image["id"]])
        return list(drafts.values())

    def _draft(self, image: dict[str, Any], id: str, path: Path | None, objects: list[Object]) -> Draft:
        if path is None:
            name = image.get("file_name")
            return unusable(id, self.file.parent / str(name), "missing image", f"{self.file.name} names {name!r:.200}")
        width, height = image.get("width"), image.get("height")
        stated = isinstance(width, int | float) and isinstance(height, int | float)
        size = (float(width), float(height)) if stated else None  # type: ignore[arg-type]
        return draft(id, path, objects, size, str(image.get("group") or ""))

    def _place(
        self,
        i: int,
        entry: dict[str, Any],
        objects: dict[Any, list[Object]],
        labels: dict[Any, int],
        called: dict[Any, str],
    ) -> None:
        """Put an annotation with its image, or say what is wrong with it."""
        try:
            at = objects[entry["image_id"]]
        except (KeyError, TypeError):
            detail = f"annotations[{i}] speaks of the image {entry.get('image_id')!r:.40}, which is not listed"
            self.defects.append(Defect("annotation without image", self.file.name, detail))
            return
        where = called[entry["image_id"]]
        try:
            label = labels[entry["category_id"]]
        except (KeyError, TypeError):
            detail = f"annotations[{i}] has the category {entry.get('category_id')!r:.40}, which is not listed"
            self.defects.append(Defect("unknown class", where, detail))
            return
        if label < 0:
            name = self.categories[entry["category_id"]]
            self.defects.append(
                Defect("unknown class", where, f"annotations[{i}]: the train split has no class '{name}'")
            )
            return
        try:
            x, y, width, height = map(float, entry["bbox"])
            area = entry.get("area")
            area = float(area) if isinstance(area, int | float) and math.isfinite(area) else math.nan
            box = (x, y, x + width, y + height)
            if not all(map(math.isfinite, box)):
                raise ValueError
        except (KeyError, TypeError, ValueError, OverflowError):
            detail = f"annotations[{i}] should have a bbox [x, y, width, height], got {entry.get('bbox')!r:.60}"
            self.defects.append(Defect("broken object", where, detail))
            return
        at.append(Object(label, box, entry.get("difficult") in (1, "1"), entry.get("iscrowd") in (1, "1"), area))


def _lighter(entry: dict[str, Any]) -> dict[str, Any]:
    """A mapping without outlines, which are most of COCO's bytes and no boxes."""
    entry.pop("segmentation", None)
    return entry
