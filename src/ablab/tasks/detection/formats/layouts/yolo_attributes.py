"""`attributes.csv`: what a YOLO label file has no room for.

split,image,object,difficult,crowd,area,group     split is train, validation, test or all; image its id, or the
train,BloodImage_00001,0,1,0,,                    label file's stem; object the index of its line, from 0; area may
train,BloodImage_00001,,,,,slide 7                be empty. A row without an object gives the image's group.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablab.errors import DataError
from ablab.tasks.detection.formats.reading import read_lines

ATTRIBUTES = "attributes.csv"
COLUMNS = ("split", "image", "object", "difficult", "crowd", "area", "group")


@dataclass
class Beside:
    """What is stated of one image: its group, and fields of its objects by the index of their line."""

    objects: dict[int, dict[str, Any]] = field(default_factory=dict)
    group: str = ""


Attributes = dict[tuple[str, str], Beside]  # by split and image


def read_attributes(root: Path) -> Attributes:
    """What `attributes.csv` at the root states; nothing where there is no such file.

    Raises DataError, naming the line, where it cannot be read.
    """
    file = root / ATTRIBUTES
    found: Attributes = {}
    if not file.is_file():
        return found
    rows = csv.DictReader(read_lines(file, f"a table with the columns {', '.join(COLUMNS)}"), restval="")
    try:
        for row in rows:
            beside = found.setdefault((row["split"], row["image"]), Beside())
            beside.group = row.get("group", "") or beside.group
            if row["object"]:
                beside.objects[int(row["object"])] = {
                    "difficult": bool(int(row["difficult"] or 0)),
                    "crowd": bool(int(row["crowd"] or 0)),
                    "area": float(row["area"] or math.nan),
                }
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise DataError(
            f"{file}, line {rows.line_num}: {type(error).__name__} {error}; expected the columns {', '.join(COLUMNS)}, "
            "difficult and crowd as 0 or 1; correct the line, or remove the file to do without it"
        ) from None
    return found
