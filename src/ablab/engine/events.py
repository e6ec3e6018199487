"""Progress, as a protocol of four methods. Everything goes to standard error; results have standard output.

In a child process `Sender` turns calls into tuples for a pipe; in the parent `replay` turns them into calls again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

Values = Mapping[str, float]
Message = tuple[Any, ...]  # ("begin", name, total), ("advance", done, values), ("end",), ("say", text)


class Events(Protocol):
    """Told about progress. Work may nest: a `begin` inside another (validation in training) ends before it."""

    def begin(self, name: str, total: int) -> None:
        """Work of `total` steps starts; 0 where nobody knows how many there will be."""

    def advance(self, done: int, values: Values) -> None:
        """`done` of the steps are done; `values` are worth seeing (the loss)."""

    def end(self) -> None:
        """The work that began last is over, or was given up."""

    def say(self, text: str) -> None:
        """A sentence for the user."""


@contextmanager
def working(events: Events, name: str, total: int) -> Iterator[None]:
    """`begin`, and `end` whatever happens between."""
    events.begin(name, total)
    try:
        yield
    finally:
        events.end()


class Display(Events, Protocol):
    """Events that can show several things at once, each in a row of its own."""

    def row(self, label: str) -> Display:
        """Where one of them tells of its progress."""

    def close(self) -> None:
        """Take away whatever this row still shows: for a process that was killed and ended nothing."""


class Silent:
    """Shows nothing."""

    def begin(self, name: str, total: int) -> None: ...

    def advance(self, done: int, values: Values) -> None: ...

    def end(self) -> None: ...

    def say(self, text: str) -> None: ...

    def row(self, label: str) -> Silent:
        return self

    def close(self) -> None: ...


@dataclass
class _Work:
    """`first` is how far it stood when it first told, and when: work that goes on from before is timed from there."""

    name: str
    total: int
    start: float
    first: tuple[int, float] | None = None


class Lines:
    """Plain lines, one every `every` seconds: for logs, and where standard error is no terminal."""

    def __init__(self, label: str = "", every: float = 10.0, stream: TextIO | None = None) -> None:
        self.label, self.every, self.stream = label, every, stream or sys.stderr
        self._work: list[_Work] = []
        self._shown = time.monotonic()

    def begin(self, name: str, total: int) -> None:
        self._work.append(_Work(name, total, time.monotonic()))

    def advance(self, done: int, values: Values) -> None:
        work, now = self._work[-1], time.monotonic()
        work.first = first, since = work.first or (done, now)
        if now - self._shown >= self.every and done > first:
            self._shown = now
            pace = (now - since) / (done - first)
            left = f"/{work.total}, {clock(pace * max(work.total - done, 0))} left" if work.total else ""
            said = "".join(f", {name} {value:.4g}" for name, value in values.items())
            self.say(f"{work.name} {done}{left}{said}")

    def end(self) -> None:
        work = self._work.pop()
        if not self._work:
            self.say(f"{work.name}: {clock(time.monotonic() - work.start)}")

    def say(self, text: str) -> None:
        print(f"{self.label}: {text}" if self.label else text, file=self.stream, flush=True)

    def row(self, label: str) -> Lines:
        return Lines(label, self.every, self.stream)

    def close(self) -> None:
        self._work.clear()


class Row:
    """A bar with the time left; work inside work gets a bar of its own below. Shown while its work goes on."""

    def __init__(self, progress: Progress, label: str = "") -> None:
        self._progress, self._label = progress, label
        self._tasks: list[TaskID] = []

    def begin(self, name: str, total: int) -> None:
        title = f"{self._label}: {name}" if self._label else name
        self._tasks.append(self._progress.add_task(title, total=total or None, values=""))
        self._progress.start()

    def advance(self, done: int, values: Values) -> None:
        text = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self._progress.update(self._tasks[-1], completed=done, values=text)

    def end(self) -> None:
        self._progress.remove_task(self._tasks.pop())
        if not self._progress.tasks:
            self._progress.stop()

    def say(self, text: str) -> None:
        self._progress.console.print(f"{self._label}: {text}" if self._label else text, markup=False, highlight=False)

    def row(self, label: str) -> Row:
        return Row(self._progress, label)

    def close(self) -> None:
        while self._tasks:
            self.end()


class Bars(Row):
    """Bars on a terminal, on standard error unless a console is given."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[values]}", markup=False),
            console=console or Console(stderr=True),
            refresh_per_second=4,
            speed_estimate_period=3600,  # seconds; a bar over runs moves once in minutes
            transient=True,
        )
        super().__init__(progress)

    def stop(self) -> None:
        """Take all bars away."""
        self._progress.stop()


@contextmanager
def shown() -> Iterator[Display]:
    """Bars where standard error is a terminal, lines elsewhere; whatever happens inside, the cursor comes back."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    bars = Bars()
    try:
        yield bars
    finally:
        bars.stop()


class Sender:
    """Sends every call as a tuple, `advance` at most every `every` seconds.

    `send` is a `Connection.send` or a `Queue.put`. Where nobody listens any more its error comes through, so that a
    run ends with the process that asked for it.
    """

    def __init__(self, send: Callable[[Message], object], every: float = 0.25) -> None:
        self._send, self._every = send, every
        self._sent = -every

    def begin(self, name: str, total: int) -> None:
        self._sent = -self._every
        self._send(("begin", name, total))

    def advance(self, done: int, values: Values) -> None:
        now = time.monotonic()
        if now - self._sent >= self._every:
            self._sent = now
            self._send(("advance", done, dict(values)))

    def end(self) -> None:
        self._send(("end",))

    def say(self, text: str) -> None:
        self._send(("say", text))


def replay(message: Message, events: Events) -> None:
    """Make the call that `Sender` sent."""
    match message:
        case ("begin", str(name), int(total)):
            events.begin(name, total)
        case ("advance", int(done), dict(values)):
            events.advance(done, values)
        case ("end",):
            events.end()
        case ("say", str(text)):
            events.say(text)
        case _:
            raise ValueError(f"expected a message of Sender, got {message!r}")


def clock(seconds: float) -> str:
    """`75.3` as `1:15`, hours only where there are some."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
