"""What each image file's bytes hash to, remembered between runs: hashing 20 GB anew for each run takes minutes.

CACHE/digests/ROOT.json      {"root": folder, "files": {path: [bytes, mtime in ns, SHA-256]}}

CACHE is `ABLAB_CACHE`, or else the user's cache folder. A file whose size or time of change is another is hashed again,
and one that changed within the last seconds is not remembered: it may change again without a trace in its time. A cache
that is damaged or cannot be written costs time, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from ablab.tasks.detection.formats.caching import cache
from ablab.tasks.detection.formats.reading import read_bytes

SETTLED = 3.0  # seconds after which a file's time of change tells one state of it from the next
THREADS = 4  # hashing lets go of the interpreter's lock


def digests(root: Path | None, paths: Iterable[Path]) -> dict[Path, str]:
    """The SHA-256 of every file; those below a data set's `root` are remembered.

    Raises DataError where a file cannot be read.
    """
    states = {path: _state(path) for path in paths}
    file = None if root is None else _cache_file(root)
    known = {} if file is None else _read(file)
    found = {
        path: entry[2] for path, state in states.items() if (entry := known.get(_key(path), []))[:2] == state != []
    }
    rest = [path for path in states if path not in found]
    with ThreadPoolExecutor(THREADS) as pool:
        found |= zip(rest, pool.map(_hash, rest), strict=True)
    if file is not None and rest:
        last = time.time_ns() - int(SETTLED * 1e9)
        settled = (path for path in rest if states[path][1:] < [last] and _state(path) == states[path] != [])
        fresh = {_key(path): [*states[path], found[path]] for path in settled}
        _write(file, {"root": str(root), "files": known | fresh})
    return found


def _key(path: Path) -> str:
    return os.path.abspath(path)


def _cache_file(root: Path) -> Path:
    name = hashlib.sha256(os.fsencode(_key(root))).hexdigest()[:16]
    return cache() / "digests" / f"{name}.json"


def _state(path: Path) -> list[int]:
    """Size and time of change; empty where there is no file."""
    try:
        stat = path.stat()
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns]


def _hash(path: Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()


def _read(file: Path) -> dict[str, list[Any]]:
    """What is remembered; nothing where the cache is absent or damaged."""
    try:
        files = json.loads(file.read_bytes())["files"]
        return {
            path: entry
            for path, entry in files.items()
            if isinstance(entry, list) and len(entry) == 3 and isinstance(entry[2], str) and len(entry[2]) == 64
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _write(file: Path, content: dict[str, Any]) -> None:
    """Write beside and rename, so that a cache is whole or absent, however many write at once."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".writing-")
        try:
            with open(handle, "w", encoding="utf-8") as opened:
                json.dump(content, opened)
            os.replace(name, file)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
