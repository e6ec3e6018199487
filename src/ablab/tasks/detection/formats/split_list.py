"""A CSV file that says which image is in which split, in the place of the layout; `ablab data split` writes it.

image,split                 image,fold          `image` is the annotation's id, or the file's name
BloodImage_00001,train      BloodImage_00001,3  of folds, the chosen one is validation and the others are train;
                                                `test` in place of a number leaves an image to the test split
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ablab.errors import ConfigError, DataError, suggest
from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.formats.layout import SPLITS, split_of
from ablab.tasks.detection.formats.layouts.draft import Draft, Source
from ablab.tasks.detection.formats.reading import read_lines

EXPECTED = "a CSV file with the columns image and split, or image and fold"


def regroup(source: Source, file: Path, fold: int | None) -> Source:
    """The same data set, split as a file says; images that it does not list are left out.

    Raises DataError where the file cannot be understood, names an image that is not there, or has not the fold that is
    asked for; ConfigError where it has folds and none is asked for, or the reverse.
    """
    drafts = list({draft.path: draft for found in source.splits.values() for draft in found}.values())
    keys = _keys(source.root, drafts)
    chosen: dict[int, str] = {}
    for line, image, split in _rows(file, fold):
        places = keys.get(image, [])
        if not places:
            raise DataError(f"{file}, line {line}: {source.root} has no image '{image}'{suggest(image, keys)}")
        if len(places) > 1:
            ids = " and ".join(drafts[i].id for i in places[:3])
            raise DataError(f"{file}, line {line}: '{image}' may be {ids}; write one of these")
        before = chosen.setdefault(places[0], split)
        if before != split:
            raise DataError(f"{file}, line {line}: '{image}' is in {split} here, and in {before} above; keep one")
    defects = [d for d in source.defects if d.kind not in ("missing list", "duplicate id")]
    for i, draft in enumerate(drafts):
        if i not in chosen:
            defects.append(Defect("unlisted image", draft.id, f"{file.name} does not list it"))
    splits: dict[str, list[Draft]] = {split: [] for split in SPLITS if split in chosen.values()}
    for i, split in chosen.items():
        splits[split].append(drafts[i])
    return replace(source, splits=splits, defects=defects, places=dict.fromkeys(splits, file.name))


def _keys(root: Path, drafts: list[Draft]) -> dict[str, list[int]]:
    """The drafts by id, and by the names of their files where no id is such."""
    keys = {draft.id: [i] for i, draft in enumerate(drafts)}
    named: dict[str, list[int]] = {}
    for i, draft in enumerate(drafts):
        for name in {draft.path.name, Path(os.path.relpath(draft.path, root)).as_posix(), draft.path.stem}:
            named.setdefault(name, []).append(i)
    return named | keys


def _rows(file: Path, fold: int | None) -> Iterable[tuple[int, str, str]]:
    """(line, image, split) of every row."""
    if not file.is_file():
        near = suggest(file.name, [p.name for p in file.parent.glob("*.csv")] if file.parent.is_dir() else [])
        raise DataError(f"data.splits: no file {file}{near}")
    rows = csv.DictReader(read_lines(file, EXPECTED))
    columns = list(rows.fieldnames or ())
    column = "split" if fold is None else "fold"
    if "image" not in columns or not {"split", "fold"} & {*columns}:
        raise DataError(f"{file}: expected {EXPECTED}; got {', '.join(columns)[:120] or 'nothing'}")
    if column not in columns:
        advice = "data.fold chooses one for validation; set it" if fold is None else "take data.fold out"
        raise ConfigError(f"{file} has the column {'fold' if fold is None else 'split'}, not {column}: {advice}")
    found: list[tuple[int, str, str]] = []
    try:
        found = [(rows.line_num, (row["image"] or "").strip(), (row[column] or "").strip()) for row in rows]
    except csv.Error as error:
        raise DataError(f"{file}, line {rows.line_num}: {error}; expected {EXPECTED}") from None
    if fold is None:
        return [(line, image, _split(file, line, text)) for line, image, text in found]
    return _folds(file, fold, found)


def _split(file: Path, line: int, text: str) -> str:
    split = split_of(text)
    if split is None:
        raise DataError(f"{file}, line {line}: '{text[:40]}' is no split{suggest(text, SPLITS)}")
    return split


def _folds(file: Path, fold: int, rows: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    bad = next(((line, text) for line, _, text in rows if not text.isdecimal() and text != "test"), None)
    if bad is not None:
        raise DataError(f"{file}, line {bad[0]}: '{bad[1][:40]}' is no fold; folds are whole numbers from 0")
    tests = [row for row in rows if row[2] == "test"]
    rows = [row for row in rows if row[2] != "test"]
    folds = {int(text) for _, _, text in rows}
    if fold not in folds:
        raise DataError(
            f"data.fold is {fold}, but {file} has the folds {', '.join(map(str, sorted(folds))) or 'of none'}"
        )
    return [*((line, image, "validation" if int(text) == fold else "train") for line, image, text in rows), *tests]
