"""Names of files and classes that other tools or people stumble over."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.formats.layout import Layout


def name_defects(layout: Layout) -> Iterator[Defect]:
    """Names outside ASCII, and classes whose names differ only in case, blanks and signs."""
    for name in layout.classes:
        if not name.isascii():
            yield Defect("non-ASCII name", name, f"class {_escaped(name)}: other tools may not print or match it")
    for image in dict.fromkeys(image.path for images in layout.splits.values() for image in images):
        inside = os.path.relpath(image, layout.root)
        if not inside.isascii():
            yield Defect("non-ASCII name", inside, f"file {_escaped(inside)}: other tools and systems may not open it")
    first: dict[str, str] = {}
    for name in layout.classes:
        other = first.setdefault(re.sub(r"[\W_]+", "", name.casefold()) or name, name)
        if other != name:
            yield Defect("classes of like name", name, f"'{other}' and '{name}' may be one class")


def _escaped(name: str) -> str:
    """With every foreign character as its code, so that look-alikes show."""
    return "'" + "".join(c if c.isascii() else f"\\u{ord(c):04x}" for c in name) + "'"
