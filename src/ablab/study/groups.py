"""Which images belong together: frames of a video, slices of a patient, scenes on one photograph (`judge.group`).

Images of one group resemble each other, so that twenty frames of a video are nearer to one image than to twenty: groups
are resampled whole. No torch.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ablab.errors import ConfigError, suggest

COLUMNS = ("image", "group")
SHOWN = 3  # ids in an error


def is_table(wish: str) -> bool:
    """Whether `judge.group` names a CSV file rather than a pattern."""
    return Path(wish).suffix.lower() == ".csv"


def check(wish: str) -> None:
    """Raise ValueError where `judge.group` is a pattern that cannot be used."""
    if is_table(wish):
        return
    try:
        caught = re.compile(wish).groups
    except re.error as error:
        raise ValueError(f"'{wish}' is no regular expression ({error}), nor the name of a .csv file") from None
    if caught != 1:
        raise ValueError(f"'{wish}' has {caught} groups in brackets; exactly one says which, as in '^(.*)_frame'")


def labels(images: Sequence[str], wish: str | None = None, stated: Sequence[str] = ()) -> np.ndarray:
    """The group of each image (I,), as text.

    `wish` is a regular expression with one group on the image's id, or a CSV file with the columns image and group.
    Without it, the groups are those that the data set states (I,), where "" is an image by itself; without these, too,
    every image is one. Raises ConfigError for images that have none, and for a file that cannot be read.
    """
    if wish is None:
        own = stated if len(stated) == len(images) else [""] * len(images)
        return np.array([f"of {g}" if g else f"only {i}" for i, g in zip(images, own, strict=True)], np.str_)
    found = _from_table(images, Path(wish)) if is_table(wish) else _from_pattern(images, wish)
    if missing := [image for image, group in zip(images, found, strict=True) if not group]:
        shown = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
        raise ConfigError(
            f"judge.group: '{wish}' gives no group to {len(missing):,} of {len(images):,} images ({shown}); every one "
            "of the judge's split wants one"
        )
    return np.array(found, np.str_)


def _from_pattern(images: Sequence[str], pattern: str) -> list[str]:
    compiled = re.compile(pattern)
    return [(match[1] or "") if (match := compiled.search(image)) else "" for image in images]


def _from_table(images: Sequence[str], path: Path) -> list[str]:
    known: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            for column in COLUMNS:
                if column not in (table.fieldnames or ()):
                    raise ConfigError(
                        f"judge.group: {path} has no column '{column}'{suggest(column, table.fieldnames or ())}; "
                        "expected a head line 'image,group'"
                    )
            for row in table:
                image, group = row["image"].strip(), (row["group"] or "").strip()
                if known.setdefault(image, group) != group:
                    raise ConfigError(f"judge.group: {path} puts '{image}' into '{known[image]}' and into '{group}'")
    except FileNotFoundError:
        raise ConfigError(f"judge.group: no file {path}; its path is relative to the study file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"judge.group: cannot read {path}: {error}") from None
    return [known.get(image, "") for image in images]
