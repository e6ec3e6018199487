"""COCO's JSON files: `instances.json` (truth) and `results.json` (detections); cocodataset.org/#format-data.

    instances   {"images": [{"id", "group"}], "categories": [{"id", "name"}],
                 "annotations": [{"image_id", "category_id", "bbox": [x, y, w, h], "area", "iscrowd"}]}
    results     [{"image_id", "category_id", "bbox": [x, y, w, h], "score"}]

`area` is width times height and `iscrowd` 0 where they are missing. `group` is our own: what an image is resampled with
(a video, a patient). `ignore` is not used; pycocotools overwrites it.
"""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ablab.errors import DataError, suggest
from ablab.tasks.detection.boxes import Detections, Truth

Id = int | str


@dataclass(frozen=True)
class Instances:
    """What `instances.json` holds: classes sorted by category id, and one truth an image, sorted by image id.

    `files` are the images' file names, or their ids where they have none.
    """

    classes: tuple[str, ...]
    category_ids: tuple[Id, ...]
    image_ids: tuple[Id, ...]
    truths: list[Truth]
    files: tuple[str, ...]


def read_truth(path: Path) -> Instances:
    """Read `instances.json`.

    Raises DataError, naming the file and the entry, where something is missing or does not fit.
    """
    data = load_json(path)
    if not isinstance(data, dict):
        raise DataError(
            f"{path}: expected COCO's instances, a mapping, got {kind_of(data)}; is it the file of detections?"
        )
    images, categories, annotations = (entries_of(data, key, path) for key in ("images", "categories", "annotations"))
    image_ids = sorted_ids(images, "images", path)
    category_ids = sorted_ids(categories, "categories", path)
    if not category_ids:
        raise DataError(f"{path}: 'categories' is empty; a class is needed to evaluate")
    _column(categories, "name", "categories", path)
    names = {entry["id"]: str(entry["name"]) for entry in categories}
    groups = {entry["id"]: str(entry.get("group") or "") for entry in images}
    files = {entry["id"]: str(entry.get("file_name") or entry["id"]) for entry in images}
    image, label, boxes = _place(annotations, "annotations", path, image_ids, category_ids)
    area = boxes[:, 2] * boxes[:, 3]
    if any("area" in entry for entry in annotations):
        given = [entry.get("area", own) for entry, own in zip(annotations, area.tolist(), strict=True)]
        area = _numbers(given, "area", "annotations", path)
    crowd = _numbers([entry.get("iscrowd", 0) for entry in annotations], "iscrowd", "annotations", path) != 0
    corners = _corners(boxes)
    truths = [
        Truth(
            str(own),
            corners[rows],
            label[rows],
            area[rows],
            crowd[rows],
            crowd[rows],
            boxes[rows, 2:],
            groups[own],
        )
        for own, rows in zip(image_ids, _by_image(image, len(image_ids)), strict=True)
    ]
    order = tuple(files[own] for own in image_ids)
    return Instances(unique_names(names, category_ids), category_ids, image_ids, truths, order)


def read_detections(path: Path, instances: Instances) -> list[Detections]:
    """Read `results.json`: one prediction for each image of `instances`, in its order.

    Raises DataError, naming the file and the entry, where something is missing, or speaks of an image or category that
    `instances` does not have.
    """
    data = load_json(path)
    if not isinstance(data, list):
        raise DataError(f"{path}: expected COCO's results, a list of detections, got {kind_of(data)}; is it the truth?")
    _check_mappings(data, "detections", path)
    image, label, boxes = _place(data, "detections", path, instances.image_ids, instances.category_ids)
    scores = _numbers(_column(data, "score", "detections", path), "score", "detections", path)
    corners = _corners(boxes)
    return [
        Detections(corners[rows], scores[rows], label[rows], boxes[rows, 2:])
        for rows in _by_image(image, len(instances.image_ids))
    ]


def load_json(path: Path, hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """What a JSON file holds; `hook` may put something in the place of each mapping. Raises DataError."""
    try:
        with _no_collection():
            return json.loads(path.read_bytes(), object_hook=hook)
    except FileNotFoundError:
        near = suggest(path.name, [p.name for p in path.parent.glob("*.json")] if path.parent.is_dir() else [])
        raise DataError(f"no file {path}{near}") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from None


@contextmanager
def _no_collection() -> Iterator[None]:
    """No search for garbage meanwhile: JSON makes millions of objects and no cycles; looking takes half the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def kind_of(value: Any) -> str:
    """What JSON calls a value, for messages."""
    return {dict: "a mapping", list: "a list", str: "a text", type(None): "null"}.get(type(value), "a number")


def entries_of(data: Mapping[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    """The list of mappings under a key; raises DataError where it is another thing."""
    if key not in data:
        raise DataError(f"{path}: the key '{key}' is missing{suggest(key, data)}")
    if not isinstance(data[key], list):
        raise DataError(f"{path}: '{key}' should be a list, got {kind_of(data[key])}")
    _check_mappings(data[key], key, path)
    return data[key]


def _check_mappings(entries: Sequence[Any], what: str, path: Path) -> None:
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise DataError(f"{path}: {what}[{i}] should be a mapping, got {kind_of(entry)}")


def _column(entries: Sequence[Mapping[str, Any]], key: str, what: str, path: Path) -> list[Any]:
    """`key` of every entry."""
    try:
        return [entry[key] for entry in entries]
    except KeyError:
        i = next(i for i, entry in enumerate(entries) if key not in entry)
        raise DataError(f"{path}: {what}[{i}] has no '{key}'{suggest(key, entries[i])}") from None


def sorted_ids(entries: Sequence[Mapping[str, Any]], what: str, path: Path) -> tuple[Id, ...]:
    """The ids of images or categories, sorted: they give the order in which equal scores count."""
    ids = _column(entries, "id", what, path)
    kinds = {type(i) for i in ids}
    if not kinds <= {int} and not kinds <= {str}:
        raise DataError(f"{path}: the ids in '{what}' should all be whole numbers, or all texts")
    twice = [i for i, times in Counter(ids).items() if times > 1]
    if twice:
        raise DataError(f"{path}: the id {twice[0]!r} stands twice in '{what}'; every id may stand once")
    return tuple(sorted(ids))


def _place(
    entries: Sequence[Mapping[str, Any]], what: str, path: Path, images: Sequence[Id], categories: Sequence[Id]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The row of each entry's image (N,) and category (N,), and its box x y w h (N, 4)."""
    rows = []
    for key, valid in (("image_id", images), ("category_id", categories)):
        index: dict[Any, int] = {value: row for row, value in enumerate(valid)}
        values = _column(entries, key, what, path)
        try:
            rows.append(np.array([index[value] for value in values], np.int64))
        except (KeyError, TypeError):
            i = next(i for i, v in enumerate(values) if not isinstance(v, int | float | str) or v not in index)
            shown = ", ".join(map(repr, valid[:5])) + (", ..." if len(valid) > 5 else "")
            raise DataError(f"{path}: {what}[{i}] has the unknown {key} {values[i]!r}; the truth has {shown}") from None
    return rows[0], rows[1], _boxes(_column(entries, "bbox", what, path), what, path)


def _boxes(values: Sequence[Any], what: str, path: Path) -> np.ndarray:
    for i, value in enumerate(values):
        if not isinstance(value, list) or len(value) != 4:
            raise DataError(f"{path}: {what}[{i}] should have a bbox [x, y, width, height], got {value!r}")
    flat = [number for value in values for number in value]
    return _numbers(flat, "bbox", what, path, each=4).reshape(-1, 4)


def _numbers(values: Sequence[Any], key: str, what: str, path: Path, each: int = 1) -> np.ndarray:
    """Finite float64 (N,), from `each` values an entry."""
    bad = None
    if not set(map(type, values)) <= {int, float, bool}:  # asks once, not two million times
        bad = next((i for i, value in enumerate(values) if not isinstance(value, int | float)), None)
    numbers = np.array(values if bad is None else [], np.float64)
    if bad is None and not np.isfinite(numbers).all():
        bad = int(np.flatnonzero(~np.isfinite(numbers))[0])
    if bad is not None:
        raise DataError(f"{path}: {what}[{bad // each}] has {values[bad]!r} in '{key}'; expected a finite number")
    return numbers


def _corners(boxes: np.ndarray) -> np.ndarray:
    """x y w h to x1 y1 x2 y2.  (N, 4) -> (N, 4)"""
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def _by_image(image: np.ndarray, count: int) -> list[np.ndarray]:
    """The entries of each image, in the order of the file."""
    order = np.argsort(image, kind="stable")
    return np.split(order, np.searchsorted(image[order], np.arange(1, count)))


def unique_names(names: Mapping[Id, str], ids: Sequence[Id]) -> tuple[str, ...]:
    """Class names by sorted id; where two are the same, as exporters with super-categories write, the id is added."""
    times = Counter(names.values())
    return tuple(names[i] if times[names[i]] == 1 else f"{names[i]} ({i})" for i in ids)
