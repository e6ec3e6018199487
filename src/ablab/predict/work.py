"""The work of `ablab predict`: sources in, files out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from ablab.engine.events import Events, working
from ablab.errors import DataError
from ablab.predict.asked import Asked
from ablab.predict.behind import Behind
from ablab.predict.model import Model
from ablab.predict.pictures import Pictures
from ablab.predict.result import Failure, Result
from ablab.predict.sources import Source
from ablab.predict.video import Video
from ablab.predict.writing import FORMS, Writer
from ablab.predict.writing.ids import Ids
from ablab.predict.writing.job import Job


@dataclass
class Tally:
    """What was done: objects by class of every source, its images, what failed, and the seconds it took."""

    found: dict[str, Counter[str]] = field(default_factory=dict)
    images: Counter[str] = field(default_factory=Counter)
    failed: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def total(self) -> int:
        """All images and frames."""
        return self.images.total()


def work(
    model: Model,
    sources: Sequence[Source],
    asked: Asked,
    folder: Path,
    events: Events,
    *,
    forms: Collection[str] = ("json",),
    draw: bool = True,
    ids: Path | None = None,
    most: int | None = None,
) -> Tally:
    """Find objects in every image of some sources and write what is found into a folder.

    `forms` are names of `writing.FORMS`; `ids` is a COCO file whose ids its results take; `most` ends the work after so
    many images. A source that cannot be read is told to `events`, and the others go on. Ctrl-C ends a live source,
    which has no other end; of files, what is finished is written before it goes on its way.

    Raises StoreError where a video cannot be written, DataError for ids that do not fit.
    """
    least = {name: float(x) for name, x in zip(model.classes, asked.least, strict=True) if x <= 1}
    known = Ids(ids) if ids else None
    if known:
        known.check((source.place for source in sources), model.classes)
    job = Job(folder, model.name, model.classes, least, sources, known)
    writers: list[Writer] = [*(FORMS[name](job) for name in dict.fromkeys(forms))] + (
        [Behind(Pictures(job))] if draw else []
    )
    tally, start = Tally(), time.perf_counter()
    try:
        with ExitStack() as finishing, working(events, "predict", _length(sources, most)):
            for writer in writers:
                finishing.callback(writer.close, tally.failed)
            _go(model, sources, asked, writers, tally, events, most)
    except KeyboardInterrupt:
        if not any(source.kind == "live" for source in sources):
            raise
    tally.seconds = time.perf_counter() - start
    return tally


def _go(
    model: Model,
    sources: Sequence[Source],
    asked: Asked,
    writers: Sequence[Writer],
    tally: Tally,
    events: Events,
    most: int | None,
) -> None:
    start = time.perf_counter()
    with closing(model.follow(sources, asked)) as results:
        for result in results:
            if isinstance(result, Failure):
                tally.failed.append(result)
                events.say(f"error: {result.error}")
                continue
            for writer in writers:
                writer.add(result)
            _count(result, tally)
            events.advance(tally.total, {"fps": tally.total / (time.perf_counter() - start)})
            if tally.total == most:
                return


def _count(result: Result, tally: Tally) -> None:
    source = result.frame.source
    tally.images[source] += 1
    tally.found.setdefault(source, Counter()).update(result.names.tolist())


def _length(sources: Sequence[Source], most: int | None) -> int:
    """How many images there are to come, as far as it can be known; 0 where a source never ends."""
    if any(source.kind == "live" for source in sources):
        return most or 0
    total = sum(1 if source.kind == "picture" else _frames(source) for source in sources)
    return min(total, most or total)


def _frames(source: Source) -> int:
    try:
        with closing(Video(source)) as video:
            return video.count
    except DataError:
        return 0  # said when its turn comes
