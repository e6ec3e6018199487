"""Which layout a data set is in, told by its path alone."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ablab.errors import DataError, suggest
from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.layouts import coco_files, table_columns, voc, yolo_folders, yolo_yaml
from ablab.tasks.detection.formats.layouts.coco import draft_coco
from ablab.tasks.detection.formats.layouts.draft import Source
from ablab.tasks.detection.formats.layouts.images import is_image
from ablab.tasks.detection.formats.layouts.settle import settle
from ablab.tasks.detection.formats.layouts.table import draft_table
from ablab.tasks.detection.formats.layouts.voc import draft_voc
from ablab.tasks.detection.formats.layouts.yolo import draft_yolo

PHOTO_DIGITS = "photo-digits"
FILES = {".json": "coco", ".yaml": "yolo", ".yml": "yolo", ".csv": "csv", ".tsv": "csv"}
LAYOUTS = {
    "voc": voc.LAYOUT,
    "coco": coco_files.LAYOUT,
    "yolo": yolo_folders.LAYOUT,
    "csv": f"a CSV file with {table_columns.EXPECTED}",
}
READERS: dict[str, Callable[[Path], Source]] = {
    "voc": draft_voc,
    "coco": draft_coco,
    "yolo": draft_yolo,
    "csv": draft_table,
}


def read_layout(path: Path) -> Layout:
    """Recognise a data set and read it: all annotations and the headers of all images, no pixels.

    `path` is a folder in VOC, COCO, YOLO or CSV layout, or the JSON, YAML or CSV file itself, which then counts alone.
    Raises DataError where nothing is there or no layout is recognised; it says what was found, and the nearest thing.
    """
    return settle(read_source(path))


def read_source(path: Path) -> Source:
    """What a data set states, before it is held against its images; raises DataError as `read_layout`."""
    path = find(path)
    try:
        kinds = _kinds(path)
        source = READERS[kinds[0]](path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from None
    for other in kinds[1:]:
        detail = (
            f"it is read in {kinds[0].upper()} layout, and is also in {other.upper()}; name a file of it to choose it"
        )
        source.defects.append(Defect("two layouts", source.root.name or str(source.root), detail))
    return source


def recognise(path: Path) -> str:
    """voc, coco, yolo or csv, from a few names and first bytes. Raises DataError as `read_layout`."""
    path = find(path)
    try:
        return _kinds(path)[0]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from None


def find(path: str | Path) -> Path:
    """The folder or file at a path; raises DataError with the nearest name where nothing is there."""
    root = Path(path).expanduser()
    if os.path.exists(root):  # Path.exists raises where a name is too long
        return root
    if str(path) == PHOTO_DIGITS:
        raise DataError(f"{PHOTO_DIGITS} is composed by ablab and has no folder; expected {_expected()}")
    missing = root
    while not os.path.exists(missing.parent):
        missing = missing.parent
    try:
        beside = [entry.name for entry in missing.parent.iterdir() if entry.is_dir() or entry.suffix.lower() in FILES]
    except OSError:
        beside = []
    what = f"{missing} does not exist" if missing != root else "it does not exist"
    raise DataError(f"no data set at {root}: {what}{suggest(missing.name, [*beside, PHOTO_DIGITS])}")


def _kinds(path: Path) -> list[str]:
    """The layouts that a path is in, the one to be read first; raises DataError where it is in none."""
    own = path.suffix.lower()
    found = _signs(path) if path.is_dir() else [FILES[own]] if own in FILES else []
    if not found:
        raise _unknown(path)
    return found


def _signs(folder: Path) -> list[str]:
    signs = {
        "voc": all((folder / name).is_dir() for name in voc.FOLDERS),
        "coco": coco_files.is_coco(folder),
        "yolo": yolo_yaml.is_described(folder) or yolo_folders.is_folders(folder),
        "csv": table_columns.is_tables(folder),
    }
    # COCO says more than YOLO, but of COCO itself many keep only val's JSON beside YOLO's labels of all splits.
    if signs["coco"] and signs["yolo"] and not coco_files.has_train(folder):
        signs = {"yolo": True} | signs
    return [kind for kind, is_so in signs.items() if is_so]


def _unknown(path: Path) -> DataError:
    if path.is_file():
        return DataError(f"{path} is a file of no layout that ablab knows; expected {_expected()}")
    inside = [f for deep in ("*", "*/*") for f in sorted(path.glob(deep)) if f.is_dir() and _signs(f)]
    near = f"; did you mean {inside[0]} ({_signs(inside[0])[0].upper()})?" if inside else "."
    return DataError(
        f"{path} is in no layout that ablab knows: it holds {_contents(path)}{near} Expected {_expected()}"
    )


def _contents(folder: Path) -> str:
    """What a folder holds, in a few words."""
    entries = sorted(folder.iterdir())
    folders = [entry.name + "/" for entry in entries if entry.is_dir()]
    kinds = Counter(
        "image" if is_image(entry.name) else entry.suffix.lower() or "other" for entry in entries if entry.is_file()
    )
    files = [f"{count:,} {kind} file{'s' if count > 1 else ''}" for kind, count in kinds.most_common(5)]
    more = [f"{len(folders) - 8} more folders"] if len(folders) > 8 else []
    return ", ".join([*folders[:8], *more, *files]) or "nothing"


def _expected() -> str:
    kinds = "; ".join(f"{kind.upper()} ({layout})" for kind, layout in LAYOUTS.items())
    return f"one of {kinds}; or '{PHOTO_DIGITS}', the embedded data set"
