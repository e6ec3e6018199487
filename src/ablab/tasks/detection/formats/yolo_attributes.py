"""`attributes.csv`: what a YOLO label file has no room for.

split,image,object,difficult,crowd,area         split is train, validation, test or all; image is the label file's
train,BloodImage_00001,0,1,0,                   stem; object the index of its line, from 0; area may be empty
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from ablab.errors import DataError
from ablab.tasks.detection.formats.reading import read_lines

ATTRIBUTES = "attributes.csv"
COLUMNS = ("split", "image", "object", "difficult", "crowd", "area")
Attributes = dict[tuple[str, str], dict[int, dict[str, Any]]]  # by split and image, by object


def read_attributes(root: Path) -> Attributes:
    """What `attributes.csv` at the root states; nothing where there is no such file.

    Raises DataError, naming the line, where it cannot be read.
    """
    file = root / ATTRIBUTES
    found: Attributes = {}
    if not file.is_file():
        return found
    for number, row in enumerate(csv.DictReader(read_lines(file, f"a table with the columns {', '.join(COLUMNS)}")), 2):
        try:
            stated = {
                "difficult": bool(int(row["difficult"] or 0)),
                "crowd": bool(int(row["crowd"] or 0)),
                "area": float(row["area"] or math.nan),
            }
            found.setdefault((row["split"], row["image"]), {})[int(row["object"])] = stated
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(
                f"{file}, line {number}: {type(error).__name__} {error}; expected the columns {', '.join(COLUMNS)}, "
                "difficult and crowd as 0 or 1; correct the line, or remove the file to do without it"
            ) from None
    return found
