"""One process does a run, on however many machines that share the study's folder.

    RUN/claim-0.json    made exclusively, so by one process alone; it says who, and is touched every few seconds
    RUN/claim-1.json    made, exclusively again, by one that found the holder of claim-0 gone

The highest number holds the run. Nothing is removed or renamed to take over, so nobody can push aside a claim that is
newer than the one he found dead. A holder is gone when its process is, on the same machine; one on another machine, or
one that died before it wrote its name, when its claim was not touched for `STALE_SECONDS` by the watcher's own clock:
the machines' clocks need not agree.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from ablab.errors import StoreError
from ablab.study.owner import Owner, alive, owner, this_process
from ablab.study.progress import Progress

BEAT_SECONDS = 2.0  # between two touches
STALE_SECONDS = (
    60.0  # thirty touches that did not come; NFS may show a touch 60 s late to those who do not open the file
)
LOOK_SECONDS = 0.5  # between two looks at a claim that another holds


class Claim:
    """A run that is held. `lost` where another process found this one silent for too long and took it over."""

    def __init__(self, place: Path, number: int) -> None:
        self.place, self.number, self.lost = place, number, False

    @property
    def path(self) -> Path:
        return _path(self.place, self.number)

    def touch(self) -> None:
        """Say that this process is still there."""
        try:
            os.utime(self.path)
            self.lost = self.lost or _path(self.place, self.number + 1).exists()
        except FileNotFoundError:
            self.lost = True  # whoever took it over has ended since, and tidied
        except OSError:
            pass  # the next touch may do

    def check(self) -> None:
        """StoreError where the run is another's by now."""
        if self.lost:
            raise StoreError(
                f"{self.place}: this process was silent for more than {STALE_SECONDS:.0f} s, and another one took the "
                "run over; it goes on there"
            )

    def release(self) -> None:
        """Give the run back; claims of holders that died before go with it."""
        for number in range(self.number + 1):
            with suppress(OSError):
                _path(self.place, number).unlink(missing_ok=True)


@contextmanager
def claimed(place: Path, progress: Progress) -> Iterator[Claim]:
    """Hold the run in `place`, having waited for whoever holds it now.

    While it is held, a thread touches the claim and writes the progress every `BEAT_SECONDS`. Raises StoreError where
    the folder cannot be written, and inside, at the next step, where the claim was lost.
    """
    claim = _wait(place, progress)
    progress.check = claim.check
    end = threading.Event()

    def beats() -> None:
        while not claim.lost and not end.wait(BEAT_SECONDS):
            claim.touch()
            if not claim.lost:
                progress.write()

    thread = threading.Thread(target=beats, daemon=True, name="claim")
    thread.start()
    try:
        yield claim
    finally:
        end.set()
        thread.join()
        if not claim.lost:
            progress.delete()
            claim.release()


def holder(place: Path) -> tuple[int, Owner | None] | None:
    """(number, who) of the claim that counts in a run's folder; None where nobody claims it."""
    found = [int(path.stem.partition("-")[2]) for path in place.glob("claim-*.json")]
    if not found:
        return None
    with suppress(OSError, ValueError):
        return max(found), owner(json.loads(_path(place, max(found)).read_text(encoding="utf-8")))
    return max(found), None


def _wait(place: Path, progress: Progress) -> Claim:
    """The claim on a run, as soon as it can be had."""
    watched, stamp, since, said = -1, -1, time.monotonic(), False
    while True:
        found = holder(place)
        number, who = found or (-1, None)
        now = _stamp(_path(place, number))
        if (number, now) != (watched, stamp):
            watched, stamp, since = number, now, time.monotonic()
        gone = (who is not None and alive(who) is False) or time.monotonic() - since > STALE_SECONDS
        if found is None or gone:
            if _make(place, number + 1):
                return Claim(place, number + 1)
            continue
        if not said:
            progress.say(f"{who or 'another process'} does this run already; waiting for it")
            said = True
        time.sleep(LOOK_SECONDS)


def _make(place: Path, number: int) -> bool:
    """Make a claim, if nobody else has made it."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            handle = os.open(_path(place, number), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(this_process()), file)
            return True
    except OSError as error:
        raise StoreError(f"cannot write into {place}: {error.strerror or error}") from None
    return False


def _stamp(path: Path) -> int:
    """When a claim was last touched, ns; opened for it, which has a network file system ask its server."""
    with suppress(OSError), path.open("rb") as file:
        return os.fstat(file.fileno()).st_mtime_ns
    return -1


def _path(place: Path, number: int) -> Path:
    return place / f"claim-{number}.json"
