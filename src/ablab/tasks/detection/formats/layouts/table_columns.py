"""The columns of a CSV table, by whatever usual name, and its rows by column."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ablab.errors import DataError
from ablab.tasks.detection.formats.layout import one_each, split_of
from ablab.tasks.detection.formats.reading import read_lines

COLUMNS = {  # lower case, letters and digits only
    "image": "image filename file imagepath filepath path imagefile imagename img imageid",
    "x1": "x1 xmin left bboxx1 bboxxmin",
    "y1": "y1 ymin top bboxy1 bboxymin",
    "x2": "x2 xmax right bboxx2 bboxxmax",
    "y2": "y2 ymax bottom bboxy2 bboxymax",
    "class": "class label name classname labelname category categoryname",
    "x": "x bboxx",
    "y": "y bboxy",
    "w": "w bboxw bboxwidth boxwidth",
    "h": "h bboxh bboxheight boxheight",
    "width": "width imagewidth imgwidth",
    "height": "height imageheight imgheight",
    "split": "split set subset",
    "difficult": "difficult isdifficult",
    "crowd": "crowd iscrowd isgroupof",
    "area": "area",
    "group": "group groupid",
}
HEADLESS = ("image", "x1", "y1", "x2", "y2", "class")
EXPECTED = "a header with image, xmin, ymin, xmax, ymax and class, or rows path,x1,y1,x2,y2,class"
Row = dict[str, str]


def find_tables(folder: Path) -> dict[str, Path]:
    """The table of each split, or of `all`. Raises DataError where there is none, or several that name no split."""
    tables = _tables(folder)
    if not tables:
        raise DataError(f"{folder} has no CSV table of boxes; expected {EXPECTED}")
    called = {file: split_of(file.stem) or split_of(file.parent.name) for file in tables}
    return one_each(folder, called, "tables of boxes")


def is_tables(folder: Path) -> bool:
    """Whether a folder has a CSV table of boxes, from the first lines of its CSV files."""
    return bool(_tables(folder))


def read_rows(file: Path) -> Iterator[tuple[int, Row]]:
    """(line, what stands in which column) of every row.

    Raises DataError where the table has no header that can be understood.
    """
    lines = read_lines(file, EXPECTED)
    delimiter, columns, headed = _header(file, lines)
    rows = csv.reader(lines, delimiter=delimiter)
    number = 0
    try:
        for fields in rows:
            number = rows.line_num
            if not any(map(str.strip, fields)):
                continue
            if headed:
                headed = False
            else:
                yield number, {name: text.strip() for name, text in zip(columns, fields, strict=False) if name}
    except csv.Error as error:
        raise DataError(f"{file}, after line {number}: {error}") from None


def number_of(text: str | None) -> float:
    """A number, also with a decimal comma; NaN where there is none."""
    try:
        return float((text or "nan").replace(",", "."))
    except ValueError:
        return float("nan")


def _tables(folder: Path) -> list[Path]:
    """CSV files with boxes: in the folder itself, else `_annotations.csv` in the folders of splits (Roboflow)."""
    own = [file for file in sorted(folder.glob("*.csv")) if _has_boxes(file)]
    return own or [file for file in sorted(folder.glob("*/_annotations.csv")) if _has_boxes(file)]


def _has_boxes(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8-sig") as opened:
            _header(file, [opened.readline(10_000).rstrip("\r\n")])
    except (DataError, OSError, UnicodeDecodeError):
        return False
    return True


def _header(file: Path, lines: list[str]) -> tuple[str, tuple[str, ...], bool]:
    """The delimiter, each column's name ('' for one that says nothing to us), and whether the first row names them."""
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise DataError(f"{file} is empty; expected {EXPECTED}")
    delimiter = max(",;\t|", key=first.count)  # csv.Sniffer takes letters for delimiters
    try:
        fields = next(csv.reader([first], delimiter=delimiter), [])
    except csv.Error as error:
        raise DataError(f"{file}: {error}; expected {EXPECTED}") from None
    columns = _columns(fields)
    far = ("w", "h") if {"w", "h"} <= {*columns} else ("x2", "y2")
    missing = [name for name in ("image", "x1", "y1", *far, "class") if name not in columns]
    if not missing:
        return delimiter, columns, True
    if len(fields) == len(HEADLESS) and _is_row(fields):
        return delimiter, HEADLESS, False
    raise DataError(f"{file} has no column for {', '.join(missing)}; expected {EXPECTED}; got {first[:120]!r}")


def _columns(fields: list[str]) -> tuple[str, ...]:
    """What each column means; the first of two that mean the same counts. Width and height are the box's, and x and y
    its corner, where there is no far corner."""
    plain = [re.sub(r"[^a-z0-9]", "", field.lower()) for field in fields]
    names = [next((name for name, words in COLUMNS.items() if word in words.split()), "") for word in plain]
    if "x2" not in names and "y2" not in names:
        own = {"x": "x1", "y": "y1"} | ({} if "w" in names else {"width": "w", "height": "h"})
        names = [own.get(name, name) for name in names]
    return tuple(name if name not in names[:i] else "" for i, name in enumerate(names))


def _is_row(fields: list[str]) -> bool:
    """Whether it is a row of a table without header: a path, four numbers or nothing, and a class."""
    numbers = [field.strip() for field in fields[1:5]]
    return bool(os.path.splitext(fields[0].strip())[1]) and (
        not any(numbers) or all(number_of(text) == number_of(text) for text in numbers)
    )
