"""What every layout is read into and written from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ablab.errors import DataError
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


def one_each(folder: Path, called: Mapping[Path, str | None], what: str) -> dict[str, Path]:
    """The file of each split, or of `all`, from files of `folder` and the split that each is called after.

    Raises DataError where two are for one split, or several name none; `what` says whose they are.
    """
    found: dict[str, Path] = {}
    for file, split in called.items():
        if split in found:
            both = f"{found[split].relative_to(folder)} and {file.relative_to(folder)}"
            raise DataError(
                f"{folder}: {both} are both for the {split} split; move one away, or name the file that you mean"
            )
        if split is not None:
            found[split] = file
    if found:
        return {split: found[split] for split in SPLITS if split in found}
    if len(called) > 1:
        names = ", ".join(str(file.relative_to(folder)) for file in called)
        raise DataError(f"{folder}: {names} are all {what}, and no name says train or val; name the file that you mean")
    return {"all": next(iter(called))}
