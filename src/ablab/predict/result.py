"""What a model says of one image, with array semantics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

from ablab.contracts import Finder, Objects

if TYPE_CHECKING:
    from PIL import Image


class Detection(NamedTuple):
    """One object: its box x1 y1 x2 y2 in pixels, its score, label and name."""

    box: np.ndarray
    score: float
    label: int
    name: str


@dataclass(frozen=True)
class Frame:
    """One image of a source: pixels (H, W, 3) uint8 RGB.

    `source` names the file, address or camera. Of a video, `index` counts frames from 0, `seconds` is when this one is
    shown, and `rate` is how many there are in a second.
    """

    source: str
    pixels: np.ndarray = field(repr=False)
    index: int | None = None
    seconds: float = 0.0
    rate: float = 0.0


@dataclass(frozen=True)
class Failure:
    """A source that could not be read, or not to its end; `error` is a sentence that names it."""

    source: str
    error: str


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """The objects of one image: boxes (n, 4) float64 x1 y1 x2 y2 in its pixels, scores (n,) falling, labels (n,) int64.

    `len` counts them, iterating gives a `Detection` each, as does a whole number in brackets; a slice, a mask or
    indices give a Result of these: `result[result.scores > 0.5]`, `result[result.names == "dog"]`.
    """

    frame: Frame
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    finder: Finder

    @property
    def names(self) -> np.ndarray:
        """The class name of each object.  -> (n,) of text"""
        return np.array(self.finder.classes)[self.labels]

    @property
    def classes(self) -> tuple[str, ...]:
        """Every class that the model knows, in the order of their labels."""
        return tuple(self.finder.classes)

    @property
    def image(self) -> np.ndarray:
        """The image itself.  -> (H, W, 3) uint8 RGB"""
        return self.frame.pixels

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        names = self.names.tolist()
        counts = ", ".join(f"{names.count(name)} {name}" for name in sorted({*names})) or "nothing"
        return f"Result({self.frame.source}: {counts})"

    def __iter__(self) -> Iterator[Detection]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, which: int) -> Detection: ...

    @overload
    def __getitem__(self, which: slice | np.ndarray | list[int] | list[bool]) -> Result: ...

    def __getitem__(self, which: int | slice | np.ndarray | list[int] | list[bool]) -> Detection | Result:
        if isinstance(which, int | np.integer):
            label = int(self.labels[which])
            return Detection(self.boxes[which], float(self.scores[which]), label, self.classes[label])
        if isinstance(which, list) and not which:
            which = slice(0)  # an empty list would be of float64, which is no index
        return replace(self, boxes=self.boxes[which], scores=self.scores[which], labels=self.labels[which])

    def painted(self) -> np.ndarray:
        """The objects drawn on a copy of the image, small ones enlarged first.  -> (H, W, 3) uint8 RGB"""
        return self.finder.draw(self.frame.pixels, Objects(self.boxes, self.scores, self.labels))

    def draw(self) -> Image.Image:
        """The objects drawn on a copy of the image, as a PIL picture."""
        from PIL import Image

        return Image.fromarray(self.painted())
