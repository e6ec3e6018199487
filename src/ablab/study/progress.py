"""How far a run is, for readers in other processes: the run itself writes RUN/progress.json every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ablab.engine.events import Events, Values
from ablab.errors import StoreError
from ablab.records import write_json

FILE = "progress.json"


class Progress:
    """Passes events on, and keeps what another process wants to know of them.

    The events come from the run's own thread, and `check` is called with each step: it raises where the run is another
    process's by now. `write` may be called from another thread.
    """

    def __init__(self, events: Events, place: Path, epochs: int) -> None:
        self.events, self.place, self.epochs = events, place, epochs
        self.check: Callable[[], None] = lambda: None
        self.begun = time.monotonic()
        self._work: list[tuple[str, int]] = []
        self._first: tuple[int, float] | None = None  # steps of the outermost work that were done, and when
        self._latest: dict[str, Any] = {}
        self._written: dict[str, Any] = {}

    def begin(self, name: str, total: int) -> None:
        self._work.append((name, total))
        self._first = None if len(self._work) == 1 else self._first
        self._tell()
        self.events.begin(name, total)

    def advance(self, done: int, values: Values) -> None:
        self.check()
        if len(self._work) == 1:
            self._step(done, values)
        self.events.advance(done, values)

    def end(self) -> None:
        self._work.pop()
        self._tell()
        self.events.end()

    def say(self, text: str) -> None:
        self.events.say(text)

    def write(self) -> None:
        """Bring what is new to disk, unflushed. A full disk is the training's own affair."""
        from ablab.measure import peak_memory_mb  # with torch, which those who only read do without

        latest = self._latest
        if latest != self._written:
            seconds, memory = time.monotonic() - self.begun, peak_memory_mb()
            try:
                write_json(self.place / FILE, {**latest, "seconds": seconds, "memory_mb": memory}, durable=False)
            except StoreError:
                return
            self._written = latest

    def delete(self) -> None:
        """Take the file away: the run has ended."""
        (self.place / FILE).unlink(missing_ok=True)

    def _tell(self) -> None:
        """What is done now, the innermost work; the figures of the last step stay."""
        self._latest = {**self._latest, "work": self._work[-1][0] if self._work else ""}

    def _step(self, done: int, values: Values) -> None:
        now, total = time.monotonic(), self._work[0][1]
        first, since = self._first = self._first or (done, now)
        left = (now - since) / (done - first) * (total - done) if done > first else None
        self._latest = {
            "work": self._work[0][0],
            "done": done,
            "total": total,
            "epochs": self.epochs,
            **_figures(values, self._latest),
            "left_seconds": left,
        }


def _figures(values: Values, before: Mapping[str, Any]) -> dict[str, Any]:
    """Epoch, loss and speed under the records' names; a step that has none leaves those before."""
    names = {"epoch": "epoch", "loss": "loss", "images_per_second": "images/s"}
    return {name: values.get(of, before.get(name)) for name, of in names.items()}
