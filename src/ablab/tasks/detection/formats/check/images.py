"""Every image of a data set decoded once, on all cores: what `check` wants to know of it, without its pixels.

20,000 images of 640 x 480 keep 25 MB: a thumbnail and a digest each. A file that a decoder crashes on ends a process,
not the check.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ablab.errors import DataError
from ablab.tasks.detection.formats.reading import FORMATS, decode, read_bytes

SIDE = 32  # pixels of a thumbnail
FEW = 400  # so many images are looked at in this process: starting others takes as long
MOST = 16  # processes; beyond them the disk decides
CHUNK = 8  # images that a process is given at a time; Ctrl-C waits for so many
ORIENTATION = 0x0112  # the tag of EXIF and TIFF
# libjpeg fills damage with grey and only says so on standard error; the others of these say nothing about the data.
DAMAGE = re.compile(rb"(?:Corrupt JPEG data|Premature end of JPEG)[^\n]*")
CHATTER = re.compile(rb"(?:Corrupt JPEG data|Premature end of JPEG|libpng |\[ ?(?:WARN|ERROR):)[^\n]*\n")


@dataclass(frozen=True)
class Look:
    """What one decoding told of an image file.

    `thumbnail` is (SIDE, SIDE) uint8 grey. `form` is CMYK, 16-bit, palette, alpha or nothing; `brightest` the largest
    value in it; `damage` what the decoder complained of. Where `error` says why it cannot be read, nothing else is set.
    """

    error: str = ""
    size: tuple[int, int] = (0, 0)  # width, height
    content: bytes = b""  # SHA-256 of the file
    thumbnail: np.ndarray = field(default_factory=lambda: np.zeros((SIDE, SIDE), np.uint8))
    orientation: int = 1
    form: str = ""
    brightest: int = 255
    damage: str = ""


Examine = Callable[[Path], Look]


def examine(path: Path) -> Look:
    """Read and decode one image as training does; whatever goes wrong is said in `error`."""
    said: list[bytes] = []
    try:
        data = read_bytes(path)
        with _overhearing(said):
            image = decode(data, path)
            orientation, form = _header(data)
    except DataError as error:
        return Look(str(error))
    except Exception as error:  # one bad file never ends the check
        return Look(f"cannot read {path}: {type(error).__name__}: {error}")
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return Look(
        size=(image.shape[1], image.shape[0]),
        content=hashlib.sha256(data).digest(),
        thumbnail=cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA),
        orientation=orientation,
        form=form,
        brightest=int(grey.max()),
        damage="; ".join(dict.fromkeys(line.decode(errors="replace") for line in said)),
    )


def _header(data: bytes) -> tuple[int, str]:
    """The orientation (1 is upright) and the form of an image, from its header."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        return _orientation(picture, data), _form(picture, data)


def _orientation(picture: Image.Image, data: bytes) -> int:
    if picture.format == "PNG" and b"eXIf" not in data:  # else Pillow decodes all its pixels before it answers
        return 1
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # broken EXIF data: viewers pass over it, too
        return 1


def _form(picture: Image.Image, data: bytes) -> str:
    deep_png = picture.format == "PNG" and data[24:25] == b"\x10"  # the bit depth in IHDR
    if picture.mode == "CMYK":
        return "CMYK"
    if deep_png or picture.mode.startswith(("I", "F")):
        return "16-bit"
    if picture.mode.startswith("P"):
        return "palette"
    return "alpha" if picture.mode.endswith(("A", "a")) or "transparency" in picture.info else ""


@contextmanager
def _overhearing(said: list[bytes]) -> Iterator[None]:
    """Collect what decoders say of damage on standard error; other writers' words are passed on to it."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, AttributeError, ValueError):  # there is no standard error
        yield
        return
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            if size := os.lseek(file.fileno(), 0, os.SEEK_END):
                text = os.pread(file.fileno(), size, 0)
                said += DAMAGE.findall(text)
                os.write(2, CHATTER.sub(b"", text))


def look_at_all(
    paths: Sequence[Path],
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
    examine: Examine = examine,
) -> list[Look]:
    """A look at each image, in the order of `paths`; `progress` is called with (done, all).

    `examine` must be a module's function: processes import it. A process that a file ends is replaced, and the images
    that it had are looked at one by one, so that only that file is called unreadable.
    """
    workers = workers or (1 if len(paths) <= FEW else min(os.cpu_count() or 1, MOST))
    looks = [Look()] * len(paths)
    found = enumerate(map(examine, paths)) if workers == 1 else _spread(paths, examine, workers)
    for done, (index, look) in enumerate(found, 1):
        looks[index] = look
        if progress:
            progress(done, len(paths))
    return looks


def _spread(paths: Sequence[Path], examine: Examine, workers: int) -> Iterator[tuple[int, Look]]:
    waiting = deque(range(start, min(start + CHUNK, len(paths))) for start in range(0, len(paths), CHUNK))
    while waiting:
        lost: list[range] = []
        yield from _until_one_dies(paths, examine, workers, waiting, lost)
        alone = [index for chunk in lost for index in chunk]
        yield from zip(alone, _one_by_one([paths[index] for index in alone], examine), strict=True)


def _until_one_dies(
    paths: Sequence[Path], examine: Examine, workers: int, waiting: deque[range], lost: list[range]
) -> Iterator[tuple[int, Look]]:
    """Work `waiting` off. Where a process dies, the chunks that were under way are put into `lost`."""
    running: dict[Future[list[Look]], range] = {}
    pool = _pool(workers)
    try:
        while waiting or running:
            while waiting and len(running) < 4 * workers:
                with _undisturbed():
                    future = pool.submit(_several, examine, [paths[index] for index in waiting[0]])
                running[future] = waiting.popleft()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                looks = future.result()
                yield from zip(running.pop(future), looks, strict=True)
    except BrokenProcessPool:
        lost += running.values()
    finally:
        pool.shutdown(cancel_futures=True)


def _several(examine: Examine, paths: Sequence[Path]) -> list[Look]:
    return [examine(path) for path in paths]


def _one_by_one(paths: Sequence[Path], examine: Examine) -> Iterator[Look]:
    """A process for them all, until one of them ends it."""
    pool = _pool(1)
    try:
        for path in paths:
            try:
                with _undisturbed():
                    future = pool.submit(examine, path)
                yield future.result()
            except BrokenProcessPool:
                pool.shutdown()
                pool = _pool(1)
                yield Look(f"reading {path} ends the process that tries to (out of memory?); restore or remove it")
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, get_context("spawn"), _begin)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C waits until this is left, and never reaches the processes that start within: they inherit the mask."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """What a process does first: leave Ctrl-C, which reaches all of a terminal's, to the first of them; one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
