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


def cards(path: Path, beside: int, events: Events) -> None:
    """Write which cards this process sees, and stay until so many do."""
    path.write_text(os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    end = time.monotonic() + 60
    while len(list(path.parent.iterdir())) < beside and time.monotonic() < end:
        time.sleep(0.02)


def alone(path: Path, events: Events) -> None:
    """Fails where another one of these is at work in the same folder."""
    path.touch(exist_ok=False)
    time.sleep(0.2)
    path.unlink()
