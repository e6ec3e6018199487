"""Image files in folders: listed, and found by the names that annotations call them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})


def is_image(name: str) -> bool:
    """Whether a file's name ends as an image's, in capitals or not."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def list_images(folder: Path) -> list[Path]:
    """All image files below a folder, sorted. Links to folders are not followed: they may lead round in a circle."""
    return sorted(Path(where, name) for where, _, names in os.walk(folder) for name in names if is_image(name))


def without_suffix(name: str) -> str:
    """`img.v2.jpg` to `img.v2`, and `img.v2` as it is."""
    return os.path.splitext(name)[0] if is_image(name) else name


class Finder:
    """Finds image files in some folders; the first folder that has one counts. Each folder is listed once."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(dict.fromkeys(folders))
        self._exact: dict[Path, frozenset[str]] = {}
        self._loose: dict[Path, dict[str, str]] = {}

    def find(self, name: str) -> Path | None:
        """The file called `name`, a path or a bare name, with or without suffix.

        The very name is looked for first, then the name in other capitals, another Unicode form, without its suffix or
        with one, and last without the folders it begins with, which may be those of another machine.
        """
        asked = PurePosixPath(name.replace("\\", "/"))
        for wanted in dict.fromkeys((asked, PurePosixPath(asked.name))):
            places = [(folder / wanted.parent, wanted.name) for folder in self.folders]
            for folder, file in places:
                if file in self._names(folder):
                    return folder / file
            for folder, file in places:
                near = self._near(folder)
                found = near.get(_folded(file)) or near.get(_folded(without_suffix(file)))
                if found:
                    return folder / found
        return None

    def _names(self, folder: Path) -> frozenset[str]:
        if folder not in self._exact:
            try:
                self._exact[folder] = frozenset(name for name in os.listdir(folder) if is_image(name))
            except (OSError, ValueError):  # ValueError: a null byte in the name
                self._exact[folder] = frozenset()
        return self._exact[folder]

    def _near(self, folder: Path) -> dict[str, str]:
        if folder not in self._loose:
            names = sorted(self._names(folder), reverse=True)  # of equals, the first in the alphabet counts
            stems = {_folded(without_suffix(name)): name for name in names}
            self._loose[folder] = stems | {_folded(name): name for name in names}
        return self._loose[folder]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
