"""What must stay together when a data set is divided: images of one group, and images with the same bytes."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ablab.errors import ConfigError
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.reading import read_bytes

Progress = Callable[[str, int, int], None]  # (what, done, all)
OWN = "group"  # as a pattern: the groups that the data set states


def together(
    taken: list[Annotation],
    kept: Mapping[str, Sequence[Annotation]],
    pattern: str | None,
    notes: list[str],
    progress: Progress,
) -> tuple[list[Annotation], np.ndarray]:
    """The images that can be divided, and the unit of each, (N,) int64: images of one unit must stay together.

    An image with the same bytes as one of a `kept` split cannot be divided. Notes say what was found; `progress` is
    called with ("compare images", done, all). Raises ConfigError where the pattern does not fit.
    """
    fixed = [image for images in kept.values() for image in images]
    same = _same_bytes([*taken, *fixed], progress)
    held = {same[image.id] for image in fixed if image.id in same}
    out = {image.id for image in taken if same.get(image.id) in held}
    taken = [image for image in taken if image.id not in out]
    groups = _groups(taken, pattern)
    keys = [
        ([f"group {groups[image.id]}"] if groups else []) + ([f"bytes {same[image.id]}"] if image.id in same else [])
        for image in taken
    ]
    if out:
        notes.append(f"{some(sorted(out), 'image')}: the same bytes are in a split that is kept, so they are left out")
    if groups:
        notes.append(f"{len(set(groups.values())):,} groups; the images of one stay together")
    if copies := [image.id for image in taken if image.id in same]:
        notes.append(f"{some(copies, 'image')}: their bytes are those of another; such stay together")
    return taken, _joined(keys)


def some(names: Sequence[str], noun: str) -> str:
    """`4 images (a, b, c, ...)`."""
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names):,} {noun}{'s' * (len(names) > 1)} ({shown})"


def _groups(images: Sequence[Annotation], pattern: str | None) -> dict[str, str]:
    """The group of each image by its id, empty where there are none. An image that states none is one of its own."""
    if pattern is None or pattern == OWN:
        if any(image.group for image in images):
            return {image.id: f"of {image.group}" if image.group else f"only {image.id}" for image in images}
        if pattern is None:
            return {}
        raise ConfigError("--group group: the data set states no groups; give a regular expression on the images' ids")
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"--group: '{pattern}' is no regular expression: {error}") from None
    found = {image.id: compiled.search(image.id) for image in images}
    if without := [name for name, match in found.items() if match is None]:
        raise ConfigError(
            f"--group: '{pattern}' does not occur in {some(without, 'id')}; expected one that occurs in every id"
        )
    return {name: (match[1] if compiled.groups else match[0]) or "" for name, match in found.items() if match}


def _same_bytes(images: Sequence[Annotation], progress: Progress) -> dict[str, str]:
    """A digest for each image whose file has the same bytes as another's; only files of equal length are read."""
    by_length: dict[int, list[Annotation]] = defaultdict(list)
    for image in images:
        if image.path.is_file():
            by_length[image.path.stat().st_size].append(image)
    alike = [image for found in by_length.values() if len(found) > 1 for image in found]
    digests = {}
    for done, image in enumerate(alike, 1):
        digests[image.id] = hashlib.sha256(read_bytes(image.path)).hexdigest()
        progress("compare images", done, len(alike))
    times = Counter(digests.values())
    return {name: digest for name, digest in digests.items() if times[digest] > 1}


def _joined(keys: Sequence[Sequence[str]]) -> np.ndarray:
    """Rows that share a key, directly or over others, get one number, counted by first appearance.  -> (N,) int64"""
    parent = list(range(len(keys)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    first: dict[str, int] = {}
    for row, ties in enumerate(keys):
        for key in ties:
            a, b = root(first.setdefault(key, row)), root(row)
            parent[max(a, b)] = min(a, b)
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root(row), len(numbers)) for row in range(len(keys))], np.int64)
