"""Images and annotations on the disk that nothing mentions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.layouts.images import is_image


def stray_defects(layout: Layout) -> Iterator[Defect]:
    """Walk the folders that hold the data set's images (and annotations, where each image has a file of them).

    What a defect of the reader names already is passed over.
    """
    used = {image.path for images in layout.splits.values() for image in images}
    named = {defect.where for defect in layout.defects}
    folders = {path.parent for path in used} | ({layout.root / "JPEGImages"} if layout.kind == "voc" else set())
    for folder in sorted(folders):
        pictures = [path for path in _files(folder) if is_image(path.name)]
        notes = _annotations(layout, folder)
        for path in pictures:
            if path in used or not named.isdisjoint(_names(path, layout.root)):
                continue
            where = os.path.relpath(path, layout.root)
            if path.stem in notes:
                yield Defect("image in no split", where, f"no split lists it, but {notes[path.stem].name} annotates it")
            else:
                yield Defect("image without annotation", where, "no split lists it, and nothing annotates it")
        for stem in sorted(notes.keys() - {path.stem for path in pictures}):
            if named.isdisjoint(_names(notes[stem], layout.root)):
                where = os.path.relpath(notes[stem], layout.root)
                yield Defect("annotation without image", where, f"{os.path.relpath(folder, layout.root)} has no {stem}")


def _annotations(layout: Layout, folder: Path) -> dict[str, Path]:
    """The annotation files of a folder of images, by their stem; none where one file holds them all."""
    if layout.kind == "voc":
        return {path.stem: path for path in _files(layout.root / "Annotations") if path.suffix == ".xml"}
    if layout.kind == "yolo":
        parts = folder.parts
        last = max((i for i, part in enumerate(parts) if part == "images"), default=None)
        beside = folder if last is None else Path(*parts[:last], "labels", *parts[last + 1 :])
        return {path.stem: path for path in _files(beside) if path.suffix == ".txt" and path.stem != "classes"}
    return {}


def _files(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if entry.is_file() and entry.name[0] != ".")
    except OSError:  # a folder that cannot be walked has no images that were read either
        return []


def _names(path: Path, root: Path) -> set[str]:
    """The names under which a reader may have spoken of a file."""
    inside = Path(os.path.relpath(path, root))
    return {path.stem, path.name, inside.as_posix(), inside.with_suffix("").as_posix()}
