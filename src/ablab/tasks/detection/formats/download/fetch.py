"""One file over HTTP: taken up again where it was broken off, and held against its size and checksum.

NAME.part           what has come so far
NAME.part.version   the ETag or date of the file that it is of, so that a changed file is begun anew
NAME                whole and checked
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablab.errors import RunError, StoreError

if TYPE_CHECKING:
    import httpx2

Progress = Callable[[str, int, int], None]  # (what, done, all)
CHUNK = 1 << 20
MEGA = 1_000_000
TRIES = 5  # in a row that bring nothing
SECONDS = 30.0  # without a byte, after which a connection counts as broken
AGAIN = (408, 425, 429, 500, 502, 503, 504)  # what may pass by itself
OTHER_RANGE = 416


@dataclass(frozen=True)
class Remote:
    """A file on a server: its size in bytes, and its digest as `md5:...` or `sha256:...`."""

    url: str
    size: int
    digest: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rsplit("/", 1)[-1]


class _Broken(Exception):
    """It did not arrive whole; trying again may help."""


def fetch(remote: Remote, folder: Path, progress: Progress, pause: float = 1.0) -> Path:
    """Bring a file into a folder, whole and checked. `pause` is the first wait in seconds; it doubles.

    `progress` is called with ("load NAME, MB", done, all) and then ("check NAME, MB", done, all). Raises RunError where
    the server does not give the file, or another one, and StoreError where it cannot be written. What came of it
    stays, and the next call goes on from there; a file with the wrong checksum is removed.
    """
    target, part = folder / remote.name, folder / f"{remote.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            _load(remote, part, progress, pause)
            _verify(remote, part, progress)
            part.rename(target)
            _version(part).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot write {part}: {error.strerror or error}; what came so far is kept: make room, and run it again"
        ) from None
    return target


def _load(remote: Remote, part: Path, progress: Progress, pause: float) -> None:
    """Connect until `part` is as long as it should be, or nothing more comes."""
    import httpx2

    if _length(part) > remote.size:
        part.unlink()
    headers = {"Accept-Encoding": "identity", "User-Agent": "ablab"}
    failures, furthest = 0, _length(part)
    with httpx2.Client(follow_redirects=True, timeout=SECONDS, headers=headers) as client:
        while _length(part) != remote.size:
            try:
                _transfer(client, remote, part, progress)
                reason = "the connection closed early"
            except (_Broken, httpx2.TransportError) as error:
                reason = str(error) or type(error).__name__
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                raise RunError(f"cannot load {remote.url}: {error}") from None
            failures = 0 if _length(part) > furthest else failures + 1
            furthest = max(furthest, _length(part))
            if failures == TRIES:
                raise RunError(_gave_up(remote, part, reason))
            if failures:
                time.sleep(pause * 2 ** (failures - 1))


def _transfer(client: httpx2.Client, remote: Remote, part: Path, progress: Progress) -> None:
    """One connection: append to `part` what the server sends of it, from the start where it must be so."""
    have = _length(part)
    with client.stream("GET", remote.url, headers=_asked(part, have)) as response:
        if response.status_code == OTHER_RANGE:
            part.unlink()
            raise _Broken("the server holds less than what is here already; begun anew")
        _refuse(remote, response)
        have = _begin(remote, part, response, have)
        with part.open("r+b" if have else "wb") as file:
            file.seek(have)
            _version(part).write_text(_validator(response))
            for chunk in response.iter_raw():  # as it comes: a chunk of a given size is lost where it is broken off
                have += len(chunk)
                if have > remote.size:
                    raise RunError(_other(remote, f"more than {have:,}"))
                file.write(chunk)
                progress(f"load {remote.name}, MB", have // MEGA, max(1, remote.size // MEGA))


def _asked(part: Path, have: int) -> dict[str, str]:
    """Ask for the rest, but only of the same version of the file."""
    if not have:
        return {}
    version = _version(part).read_text() if _version(part).exists() else ""
    return {"Range": f"bytes={have}-"} | ({"If-Range": version} if version else {})


def _begin(remote: Remote, part: Path, response: httpx2.Response, have: int) -> int:
    """The byte that the answer begins with; raises where it is of another file."""
    if response.status_code != 206:  # the server does not know ranges, or the file has changed
        length = response.headers.get("Content-Length", "")
        if length.isdigit() and int(length) != remote.size:
            raise RunError(_other(remote, f"{int(length):,}"))
        return 0
    unit, _, span = response.headers.get("Content-Range", "").partition(" ")
    first, total = span.partition("-")[0], span.rpartition("/")[2]
    if total.isdigit() and int(total) != remote.size:
        raise RunError(_other(remote, f"{int(total):,}"))
    if unit != "bytes" or first != str(have):
        part.unlink()
        raise _Broken(f"asked from byte {have}, the server answers '{unit} {span}'; begun anew")
    return have


def _refuse(remote: Remote, response: httpx2.Response) -> None:
    status = response.status_code
    if status in AGAIN:
        raise _Broken(f"the server answers {status} {response.reason_phrase}")
    if status not in (200, 206):
        raise RunError(
            f"{remote.url}: expected the file, the server answers {status} {response.reason_phrase}; "
            "it may have moved: look at the data set's page"
        )


def _validator(response: httpx2.Response) -> str:
    """What names this version of the file; a weak ETag may not (RFC 9110, 13.1.5)."""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _verify(remote: Remote, part: Path, progress: Progress) -> None:
    """Hold the file on disk against its digest; remove it where that differs."""
    kind, _, expected = remote.digest.partition(":")
    digest, done = hashlib.new(kind, usedforsecurity=False), 0
    with part.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress(f"check {remote.name}, MB", done // MEGA, max(1, remote.size // MEGA))
    if digest.hexdigest() != expected:
        part.unlink()
        _version(part).unlink(missing_ok=True)
        raise RunError(
            f"{remote.url}: expected {kind} {expected}, got {digest.hexdigest()}; the file was damaged on its way or "
            "is another one, and was removed: run it again, and if it happens twice, do not trust the server"
        )


def _version(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _other(remote: Remote, came: str) -> str:
    return (
        f"{remote.url}: expected {remote.size:,} bytes, the server has {came}: it is another file than ablab knows; "
        "look at the data set's page"
    )


def _gave_up(remote: Remote, part: Path, reason: str) -> str:
    have = _length(part)
    kept = f"{have / MEGA:,.1f} of {remote.size / MEGA:,.1f} MB are kept in {part}; " if have else ""
    return f"cannot load {remote.url}: {reason} ({TRIES} times in a row); {kept}run it again when the network is back"
