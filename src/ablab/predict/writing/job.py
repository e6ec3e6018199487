"""What every writer needs to know of the work at hand."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ablab.predict.result import Frame
from ablab.predict.sources import Source
from ablab.predict.writing.ids import Ids
from ablab.records import slug


@dataclass(frozen=True)
class Job:
    """Where results go, of which model and sources; `least` is the least score by class of those that are asked for.

    `classes` are all that the model knows, in the order of their labels. `ids` are a COCO file's, to be used.
    """

    folder: Path
    model: str
    classes: Sequence[str]
    least: Mapping[str, float]
    sources: Sequence[Source]
    ids: Ids | None = None
    _stems: dict[str, str] = field(default_factory=dict, init=False)

    def stem(self, frame: Frame) -> str:
        """The name, without suffix, of what is written about a frame: its file's, made unlike the others'."""
        stem = self.stem_of(frame.source)
        return stem if frame.index is None else f"{stem}-{frame.index:06}"

    def stem_of(self, source: str) -> str:
        """The same of a whole source."""
        if not self._stems:
            self._name_all()
        return self._stems[source]

    def _name_all(self) -> None:
        taken: set[str] = set()
        for source in self.sources:
            path = Path(source.place)
            plain = slug(source.place) if source.kind == "live" else path.stem
            tries = [plain, slug(path.name), *(f"{plain}-{i}" for i in range(2, len(self.sources) + 2))]
            self._stems[source.place] = next(name for name in tries if name.lower() not in taken)
            taken.add(self._stems[source.place].lower())  # some file systems take A for a


class Growing:
    """A text file that is written piece by piece, and has its name only when it is whole."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self._part = path, path.with_name(f".{path.name}.part")
        self.file: IO[str] = self._part.open("w", encoding="utf-8", newline="")

    def close(self) -> None:
        """Give it its name."""
        self.file.close()
        os.replace(self._part, self.path)
