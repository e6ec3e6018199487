"""A data set divided anew, into parts or folds, as a CSV file that a recipe's `data.splits` takes.

    image,split          or    image,fold
    BloodImage_00001,train     BloodImage_00001,3      `test` instead of a number, where that split is kept

Images of one group never stand in two parts, nor do two files with the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ablab.errors import ConfigError, DataError, StoreError, UnknownName
from ablab.records import write_bytes
from ablab.streams import stream
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.layout import SPLITS, Layout
from ablab.tasks.detection.formats.layouts.together import Progress, some, together
from ablab.tasks.detection.formats.stratify import deal

FEW = 10_000  # images below which validation and test want a fifth each
MANY = 100_000  # and from which a hundredth each is enough


@dataclass(frozen=True)
class Wish:
    """How to divide: `parts` (6, 2, 2) or a number of `folds`, or neither for the parts that suit the size.

    `group` is a regular expression whose first bracket (or whole match) in an image's id names its group, or `group`
    for those of the layout, which count anyway where there are some. `take` are the splits that are divided; images of
    the others stay where they are. No `take` means all.
    """

    parts: tuple[float, ...] = ()
    folds: int | None = None
    stratify: bool = True
    group: str | None = None
    seed: int = 0
    take: tuple[str, ...] = ()


@dataclass(frozen=True)
class Division:
    """`column` is split or fold, `parts` are the images by its values, `notes` are sentences for the user."""

    column: str
    classes: tuple[str, ...]
    parts: dict[str, tuple[Annotation, ...]]
    notes: tuple[str, ...]


def read_parts(text: str) -> tuple[float, ...]:
    """`6:2:2` as (6, 2, 2); raises ConfigError where that is not two or three positive numbers."""
    try:
        parts = tuple(float(each) for each in text.split(":"))
    except ValueError:
        parts = ()
    if len(parts) not in (2, 3) or not all(0 < each < np.inf for each in parts):
        raise ConfigError(
            f"--parts: expected two or three positive numbers (train:validation or train:validation:test) as in 6:2:2, "
            f"got '{text}'; --folds divides into more"
        )
    return parts


def divide(layout: Layout, wish: Wish, progress: Progress = lambda what, done, total: None) -> Division:
    """Divide a data set.

    `progress` is called with ("compare images", done, all) while files of equal length are compared. Raises ConfigError
    or UnknownName for a wish that does not fit the data set, DataError where it has too few images.
    """
    taken, kept, notes = _taken(layout, wish)
    names, shares = _parts(wish, len(taken), kept, notes)
    if len(taken) < len(names):
        raise DataError(f"{layout.root}: {len(taken)} images cannot make {len(names)} parts; give fewer")
    taken, units = together(taken, kept, wish.group, notes, progress)
    of_image = np.zeros((len(taken), len(layout.classes) + 1), np.int64)
    for row, image in zip(of_image, taken, strict=True):
        row[np.unique(image.labels) if len(image.labels) else -1] = 1  # the last column: images without objects
    counts = np.zeros((max(units, default=-1) + 1, of_image.shape[1] if wish.stratify else 0), np.int64)
    np.add.at(counts, units, of_image[:, : counts.shape[1]])
    chosen = deal(counts, np.bincount(units), shares, stream("split", wish.seed))[units]
    parts = {
        name: tuple(image for image, part in zip(taken, chosen, strict=True) if part == number)
        for number, name in enumerate(names)
    }
    whole = parts | {split: images for split, images in kept.items() if images}
    notes += _scarce(parts, layout.classes)
    return Division("fold" if wish.folds else "split", layout.classes, whole, tuple(notes))


def write_division(division: Division, path: Path) -> None:
    """Write the CSV file; the same division gives the same bytes.

    Raises ConfigError where another file stands there, which a study may be using; StoreError where it cannot write.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("image", division.column))
    for part, images in division.parts.items():
        rows.writerows((image.id, part) for image in images)
    data = text.getvalue().encode()
    try:
        if path.exists() and path.read_bytes() != data:
            raise ConfigError(f"{path} exists and divides otherwise; remove it, or name another file with --out")
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}; name another file with --out") from None
    write_bytes(path, data)


def _taken(layout: Layout, wish: Wish) -> tuple[list[Annotation], dict[str, tuple[Annotation, ...]], list[str]]:
    """The images to divide, each once, and those of the splits that stay as they are."""
    for split in wish.take:
        if split not in layout.splits:
            raise UnknownName("split", split, layout.splits, str(layout.root))
    take = wish.take or tuple(layout.splits)
    kept = {split: images for split, images in layout.splits.items() if split not in take and images}
    held = {image.id for images in kept.values() for image in images}
    taken = {image.id: image for split in take for image in layout.splits[split]}
    notes = []
    if both := sorted(held & taken.keys()):
        notes.append(f"{some(both, 'image')} stands in a kept split, too, and stays only there")
    return [image for name, image in taken.items() if name not in held], kept, notes


def _parts(
    wish: Wish, count: int, kept: dict[str, tuple[Annotation, ...]], notes: list[str]
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Names and shares of the parts. Raises ConfigError where a part would be mixed with a split that is kept."""
    if wish.folds and wish.parts:
        raise ConfigError("--parts and --folds exclude each other; give one")
    if wish.folds is not None:
        if wish.folds < 2:
            raise ConfigError(f"--folds: expected 2 or more, got {wish.folds}")
        if mixed := [name for name in kept if name != "test"]:
            raise ConfigError(
                f"of folds, one is validation and the others are train, so {' and '.join(mixed)} cannot stay as it is; "
                f"divide it, too (--from {','.join([*wish.take, *mixed])})"
            )
        return tuple(str(fold) for fold in range(wish.folds)), (1 / wish.folds,) * wish.folds
    parts = wish.parts
    if not parts:
        parts = (6, 2, 2) if count < FEW else (8, 1, 1) if count < MANY else (98, 1, 1)
        if "test" in kept:
            parts = (parts[0] + parts[2], parts[1])
        notes.append(f"divided {':'.join(f'{part:g}' for part in parts)}, which suits {count:,} images")
    names = SPLITS[: len(parts)]
    if mixed := [name for name in names if name in kept]:
        raise ConfigError(
            f"the parts {', '.join(names)} would mix with {' and '.join(mixed)}, which is to stay as it is; "
            f"divide it, too (--from {','.join([*wish.take, *mixed])}), or give two parts to keep test"
        )
    return names, tuple(part / sum(parts) for part in parts)


def _scarce(parts: dict[str, tuple[Annotation, ...]], classes: tuple[str, ...]) -> Iterable[str]:
    """Which class is missing where."""
    with_class = {
        part: Counter(label for image in images for label in np.unique(image.labels).tolist())
        for part, images in parts.items()
    }
    for label, name in enumerate(classes):
        images = sum(found[label] for found in with_class.values())
        without = [part for part, found in with_class.items() if not found[label]]
        if images and without:
            few = f", fewer than the {len(parts)} parts" if images < len(parts) else ""
            yield f"class '{name}' is in {images} image{'s' * (images > 1)}{few}: none in {', '.join(without)}"
