"""Mirroring: a thread of the driver reads the records that are new, and shows them to the trackers.

    STUDY/runs/*/*/record.json --entry--> TensorBoard, MLflow, Weights & Biases        never the other way round

A tracker that fails costs a line; the study knows nothing of it. What a tracker holds already is not sent again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ablab.engine.events import Events
from ablab.errors import AblabError, ConfigError, UnknownName
from ablab.study.trackers.entry import Entry, Tracker, run_entry, verdict_entry
from ablab.study.trackers.mlflow import MLflow
from ablab.study.trackers.tensorboard import TensorBoard
from ablab.study.trackers.wandb import Wandb

NAMES = ("tensorboard", "mlflow", "wandb")
SECONDS = 5.0  # between two looks at the folder
SHARE = 0.02  # of the time: where a look takes longer than this share of it, they come less often


def tracker(asked: str, folder: Path, study: str) -> Tracker:
    """`tensorboard[=FOLDER]`, `mlflow=URI` or `wandb[=online]`, for the study `study` in `folder`.

    Raises UnknownName for another name, ConfigError for a setting that does not fit.
    """
    name, _, setting = asked.partition("=")
    if name == "tensorboard":
        return TensorBoard(Path(setting) if setting else folder / "trackers" / name)
    if name == "mlflow":
        if not setting:
            raise ConfigError("--tracker mlflow: expected the server's address, as in mlflow=http://127.0.0.1:5000")
        return MLflow(setting, study)
    if name == "wandb":
        if setting not in ("", "offline", "online"):
            raise ConfigError(f"--tracker wandb: expected 'wandb' (offline) or 'wandb=online', got '{asked}'")
        return Wandb(folder / "trackers" / name, "online" if setting == "online" else "offline")
    raise UnknownName("tracker", name, NAMES, "--tracker")


class Mirror:
    """Shows what is in a study's folder to trackers; `say` gets one line of each tracker that fails."""

    def __init__(self, folder: Path, trackers: Sequence[Tracker], say: Callable[[str], None]) -> None:
        self.folder, self.trackers, self.say = folder, trackers, say
        self._held: dict[str, dict[str, str]] = {}  # {tracker: {key: digest}}, asked for once
        self._seen: dict[str, tuple[int, ...]] = {}  # {key: when its files were written} of what all trackers have
        self._warned: set[str] = set()

    def greet(self) -> None:
        """Ask each tracker what it holds: one that cannot be reached is told before anything trains."""
        for each in self.trackers:
            self._ask(each)

    def look(self) -> None:
        """Send what is new since the last look."""
        for key, stamp, read in self._sources():
            if self._seen.get(key) == stamp:
                continue
            try:
                entry = read()
            except AblabError as error:
                self._warn("the trackers", f"{key} cannot be read: {error}")
                continue
            held = [self._show(each, entry) for each in self.trackers] if entry else []
            if all(held):
                self._seen[key] = stamp

    def _sources(self) -> Iterator[tuple[str, tuple[int, ...], Callable[[], Entry | None]]]:
        for path in sorted(self.folder.glob("runs/*/*/record.json")):
            stamp = (_stamp(path), _stamp(path.parent / "test.json"))
            yield path.relative_to(self.folder).as_posix(), stamp, partial(run_entry, self.folder, path)
        yield "verdicts", (_stamp(self.folder / "verdicts.json"),), partial(verdict_entry, self.folder)

    def _show(self, tracker: Tracker, entry: Entry) -> bool:
        """Send an entry, unless the tracker holds it; whether it holds it now."""
        if not self._ask(tracker):
            return False
        try:
            if self._held[tracker.name].get(entry.key) != entry.digest:
                tracker.send(entry)
                self._held[tracker.name][entry.key] = entry.digest
        except Exception as error:  # whatever another's package raises: the study goes on
            self._warn(tracker.name, _explained(tracker.name, error))
            return False
        return True

    def _ask(self, tracker: Tracker) -> bool:
        """Learn once what a tracker holds; whether that is known now."""
        try:
            if tracker.name not in self._held:
                self._held[tracker.name] = dict(tracker.sent())
        except Exception as error:  # likewise
            self._warn(tracker.name, _explained(tracker.name, error))
        return tracker.name in self._held

    def _warn(self, name: str, text: str) -> None:
        if name not in self._warned:
            self.say(f"tracker {name}: {text}; the study goes on, and the same command sends what is missing")
        self._warned.add(name)


def _explained(name: str, error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"its package cannot be imported ({error}): pip install 'ablab[{name}]'"
    first = str(error).strip().splitlines()[:1]
    return ": ".join([type(error).__name__, *first])


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


@contextmanager
def mirroring(folder: Path, asked: Sequence[str], study: str, events: Events) -> Iterator[None]:
    """Mirror the study in `folder` while the body runs, and once more when it ended, whatever way but Ctrl-C.

    Raises as `tracker` does, before anything runs.
    """
    trackers = [tracker(each, folder, study) for each in asked]
    if not trackers:
        yield
        return
    mirror, end = Mirror(folder, trackers, events.say), threading.Event()

    def looks() -> None:
        wait = SECONDS
        mirror.greet()
        while not end.wait(wait):
            start = time.monotonic()
            mirror.look()
            wait = max(SECONDS, (time.monotonic() - start) / SHARE)

    thread = threading.Thread(target=looks, daemon=True, name="trackers")
    thread.start()
    try:
        yield
    except KeyboardInterrupt:
        end.set()
        raise
    except BaseException:
        _last(thread, end, mirror)
        raise
    _last(thread, end, mirror)


def _last(thread: threading.Thread, end: threading.Event, mirror: Mirror) -> None:
    end.set()
    thread.join()
    mirror.look()
