"""Bars for work that goes through stages and tells of each as (what, done, all)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ablab.cli.answer import display

if TYPE_CHECKING:
    from ablab.engine.events import Events


class Stages:
    """A bar a stage: the next one takes the place of the one before."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self._now = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != self._now:
            self.end()
            self.events.begin(what, total)
            self._now = what
        self.events.advance(done, {})

    def end(self) -> None:
        """Take the last bar away."""
        if self._now:
            self.events.end()
            self._now = ""


@contextmanager
def stages() -> Iterator[Stages]:
    """Bars, for as long as the work goes on."""
    with display() as shown:
        made = Stages(shown)
        try:
            yield made
        finally:
            made.end()
