"""A trained model as a function from images to objects."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ablab.contracts import Finder, Objects
from ablab.errors import DataError
from ablab.predict.ahead import Ahead
from ablab.predict.asked import Asked, ask
from ablab.predict.pixels import frame, is_one
from ablab.predict.result import Failure, Frame, Result
from ablab.predict.sources import Source, expand
from ablab.predict.tiles import join, windows
from ablab.predict.video import Video

if TYPE_CHECKING:
    from ablab.predict.pixels import Given

BATCH = 16  # images that go through the network together: more gain little on a processor, and take memory
SHOWN = 8  # classes that a model's name goes with
HELD = 2**28  # bytes of images that wait for the network, or go through it together

# Fitted images (B, h, w, 3) uint8 RGB -> boxes (B, N, 4) in their pixels and scores (B, N, C) in 0..1, float32.
Runner = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class _Piece:
    """One window of a frame, fitted; `place` is what the finder needs to take boxes back into the window."""

    frame: Frame
    windows: np.ndarray = field(repr=False)  # (n, 4), all of the frame
    pixels: np.ndarray = field(repr=False)
    place: Any
    last: bool


class Model:
    """A network that finds objects, in some runtime, with all that stands around it.

        model = ablab.load("runs/bccd/runs/baseline/0-2f9c...")
        result = model("image.jpg")                    # a path, a PIL picture, an array, a tensor
        results = model([first, second])               # or several: a Result each
        for result in model.stream("video.mp4"): ...   # files, folders, patterns, cameras, addresses

    `thresholds` are the least scores by class, chosen on validation. `batch` images go through the network together.
    `name` says where the model came from, `runtime` what runs it.
    """

    def __init__(
        self,
        finder: Finder,
        runner: Runner,
        thresholds: Mapping[str, float],
        *,
        batch: int = BATCH,
        name: str = "",
        runtime: str = "torch",
    ) -> None:
        self.finder, self.runner, self.batch, self.name, self.runtime = finder, runner, batch, name, runtime
        self.thresholds = dict(thresholds)

    def __repr__(self) -> str:
        more = f", ... ({len(self.classes)} in all)" if len(self.classes) > SHOWN else ""
        return f"Model({self.name}: {', '.join(self.classes[:SHOWN])}{more})"

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of their labels."""
        return tuple(self.finder.classes)

    @overload
    def __call__(self, images: Given, **asked: Any) -> Result: ...

    @overload
    def __call__(self, images: Iterable[Given], **asked: Any) -> list[Result]: ...

    def __call__(self, images: Given | Iterable[Given], **asked: Any) -> Result | list[Result]:
        """What is in one image, or in several: a Result, or a list of them.

        Images are paths, PIL pictures, arrays (H, W, 3) uint8 in RGB, tensors (3, H, W) uint8 or float in 0..1, or
        batches of these. `threshold` (a number, or some by class), `classes` (names), `tile` (pixels) and `overlap` are
        what may be asked (`asked.ask`).

        Raises DataError for what is no image or cannot be read, ConfigError for what cannot be asked.
        """
        one = is_one(images)
        given: Any = [images] if one else images
        frames = (frame(each, self.finder.read) for each in given)
        few = isinstance(given, Sized) and len(given) <= self.batch
        results = [_sound(each) for each in self.find(frames, ask(self.thresholds, **asked), ahead=not few)]
        return results[0] if one else results

    def stream(
        self, *sources: str | Path, skip: Callable[[Failure], None] | None = None, **asked: Any
    ) -> Iterator[Result]:
        """What is in every image of files, folders, patterns, videos, cameras (a number) and streams, as they come.

        A thread reads ahead. What cannot be read is given to `skip`; without it, it raises DataError. `asked` is as in
        calling the model.
        """
        for result in self.follow(expand(sources), ask(self.thresholds, **asked)):
            if isinstance(result, Result):
                yield result
            elif skip is None:
                raise DataError(result.error)
            else:
                skip(result)

    def follow(self, sources: Sequence[Source], asked: Asked) -> Generator[Result | Failure]:
        """Every image of some sources in their order, and in its place what could not be read."""
        live = any(source.kind == "live" for source in sources)
        yield from self.find(_frames(sources, self.finder.read), asked, live=live)

    def find(
        self, frames: Iterable[Frame | Failure], asked: Asked, *, live: bool = False, ahead: bool = True
    ) -> Generator[Result | Failure]:
        """Results in the order of their frames; a Failure passes through. Frames are read, cut and fitted in a thread.

        Without `ahead` there is no thread: for one batch there is nothing to read meanwhile, and to start one costs a
        millisecond or two. Of a `live` source the newest frame is looked at, and those that came meanwhile are passed
        over.
        """
        if not ahead:
            yield from self._results(_grouped(self._pieces(frames, asked), self.batch), asked)
        elif live:
            with Ahead(lambda: iter(frames), 1, fresh=True) as newest:
                yield from self._results(_grouped(self._pieces(newest, asked), 1), asked)
        else:
            most = 2 * self.batch
            with Ahead(lambda: self._pieces(frames, asked), most, weigh=_weight, bytes=HELD) as pieces:
                yield from self._results(_grouped(pieces, self.batch), asked)

    def _results(self, groups: Iterable[list[_Piece] | Failure], asked: Asked) -> Generator[Result | Failure]:
        collected: list[Objects] = []
        for group in groups:
            if isinstance(group, Failure):
                yield group
                continue
            for piece, objects in zip(group, self._look(group, asked), strict=True):
                collected.append(objects)
                if piece.last:
                    yield self._result(piece, collected, asked)
                    collected = []

    def _pieces(self, frames: Iterable[Frame | Failure], asked: Asked) -> Iterator[_Piece | Failure]:
        for each in frames:
            if isinstance(each, Failure):
                yield each
                continue
            height, width = each.pixels.shape[:2]
            places = windows(height, width, asked.tiling)
            for i, (x1, y1, x2, y2) in enumerate(places.tolist(), start=1):
                yield _Piece(each, places, *self.finder.fit(each.pixels[y1:y2, x1:x2]), i == len(places))

    def _look(self, group: Sequence[_Piece], asked: Asked) -> list[Objects]:
        boxes, scores = self.runner(np.stack([piece.pixels for piece in group]))
        return self.finder.found(boxes, scores, [piece.place for piece in group], asked.least)

    def _result(self, piece: _Piece, found: list[Objects], asked: Asked) -> Result:
        whole = found[0]
        if asked.tiling:
            whole = join(found, piece.windows, asked.tiling, self.finder.recipe.postprocess.agnostic)
        return Result(piece.frame, *whole, finder=self.finder)


def _weight(piece: _Piece | Failure) -> int:
    """The bytes that wait with a piece; a frame's are counted with its last."""
    if isinstance(piece, Failure):
        return 0
    return piece.pixels.nbytes + (piece.frame.pixels.nbytes if piece.last else 0)


def _frames(sources: Iterable[Source], read: Callable[[Path], np.ndarray]) -> Iterator[Frame | Failure]:
    for source in sources:
        try:
            if source.kind == "picture":
                yield Frame(source.place, read(Path(source.place)))
                continue
            video = Video(source)
            try:
                yield from video.frames()
            finally:
                video.close()
        except DataError as error:
            yield Failure(source.place, str(error))


def _grouped(pieces: Iterable[_Piece | Failure], most: int) -> Iterator[list[_Piece] | Failure]:
    """Neighbours of one shape together, at most so many, and no more than `HELD` bytes."""
    group: list[_Piece] = []
    for piece in pieces:
        if group and (isinstance(piece, Failure) or piece.pixels.shape != group[0].pixels.shape):
            yield group
            group = []
        if isinstance(piece, Failure):
            yield piece
            continue
        group.append(piece)
        if len(group) == most or sum(map(_weight, group)) >= HELD:
            yield group
            group = []
    if group:
        yield group


def _sound(result: Result | Failure) -> Result:
    assert isinstance(result, Result)  # only sources fail without raising
    return result
