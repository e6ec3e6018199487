"""What every layout is read into and written from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.defect import Defect

SPLITS = ("train", "validation", "test")
_CALLED = re.compile(r"(train|val|test)(?:ing|id|idation)?[-_ ]?\d*", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """What can be used of a data set on disk, and every defect that was met in reading it.

    `kind` is voc, coco, yolo or csv. `splits` has the keys of `SPLITS`, or only `all` where the layout does not split.
    `classes` are in the order of the annotations' labels.
    """

    kind: str
    root: Path
    classes: tuple[str, ...]
    splits: dict[str, tuple[Annotation, ...]]
    defects: tuple[Defect, ...] = ()


def split_of(name: str) -> str | None:
    """The split that a folder, file or key is called after: train2017, val, valid, testing; None for other names."""
    called = _CALLED.fullmatch(name.strip())
    return None if called is None else {"val": "validation"}.get(called[1].lower(), called[1].lower())
