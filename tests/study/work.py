"""Work for the executor's tests, importable by its children."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from ablab.engine.events import Events
from ablab.errors import DataError


def write(path: Path, text: str, events: Events) -> None:
    events.begin("write", 1)
    path.write_text(f"{text} {os.getpid()}")
    events.advance(1, {})
    events.end()


def mistake(events: Events) -> None:
    raise DataError("no such image")


def bug(events: Events) -> None:
    raise ZeroDivisionError("one by zero")


def killed(events: Events) -> None:
    events.begin("dying", 3)
    os.kill(os.getpid(), signal.SIGKILL)


def slow(path: Path, events: Events) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(60)
    path.write_text("too late")
