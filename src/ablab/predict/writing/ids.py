"""The ids that a COCO file gives its images and categories."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ablab.errors import DataError, suggest

Id = int | str


class Ids:
    """The ids of images by file name, and of categories by name.

    Raises DataError for a file that is no COCO instances.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            data = json.loads(path.read_text("utf-8-sig"))
            self._images: dict[str, Id] = {each["file_name"]: each["id"] for each in data["images"]}
            self._categories: dict[str, Id] = {each["name"]: each["id"] for each in data["categories"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            said = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
            raise DataError(
                f"{path} tells no ids ({said}); expected COCO's instances: images with file_name and id, categories "
                "with name and id"
            ) from None
        self._bare = {PurePosixPath(name).name: number for name, number in self._images.items()}
        self._alone = len(self._bare) == len(self._images)

    def check(self, sources: Iterable[str], classes: Iterable[str]) -> None:
        """Raise DataError for a source or class that the file does not know, before any work is done."""
        for source in sources:
            self.image(source)
        for name in classes:
            self.category(name)

    def image(self, source: str) -> Id:
        """The id of a file, by the end of its path; by its name alone where no two images share one."""
        parts = Path(source).parts
        for first in range(len(parts)):
            if (name := "/".join(parts[first:])) in self._images:
                return self._images[name]
        if self._alone and parts and parts[-1] in self._bare:
            return self._bare[parts[-1]]
        raise DataError(f"{self.path} has no image {source}; leave --ids out, or give the file that speaks of it")

    def category(self, name: str) -> Id:
        """The id of a class."""
        if name not in self._categories:
            raise DataError(f"{self.path} has no category '{name}'{suggest(name, map(str, self._categories))}")
        return self._categories[name]
