"""Where fitted images stay once they are decoded. Each place gives the same bytes; they differ in speed alone.

memory  in this process, up to a bound; what finds no room is decoded anew each time
disk    one file of raw pixels a data set and size, mapped into memory by all processes that train on it:

    CACHE/images/KEY.rgb      pixels of image after image (h, w, 3) uint8, then the CRC-32 of them all

KEY is over path, bytes, time of change and size of every image. The file is built once, under a lock, whole or not at
all; its CRC is held against it whenever it is opened, at some 5 GB/s. What was not used for the longest goes first.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from filelock import FileLock

from ablab.config import fingerprint
from ablab.recipe import TrainRecipe
from ablab.tasks.detection.augment.letterbox import fitting
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.photo_digits.store import cache

Images = Callable[[Annotation], np.ndarray]  # the fitted image (h, w, 3) uint8, not to be written into

VERSION = 1  # to be raised whenever the same file gives other pixels
GB = 10**9
SHARE = 1 / 3  # of the memory that is free: the rest is the training's
CRC = 4  # bytes
CHUNK = 64  # images that are decoded before they are written


class Memory:
    """A cache in this process, of at most so many bytes."""

    def __init__(self, decode: Images, most: float) -> None:
        self.decode, self.room = decode, most
        self.kept: dict[Path, np.ndarray] = {}

    def __call__(self, annotation: Annotation) -> np.ndarray:
        image = self.kept.get(annotation.path)
        if image is None:
            image = self.decode(annotation)
            if image.nbytes <= self.room:
                self.kept[annotation.path] = image
                self.room -= image.nbytes
        return image


class Disk:
    """A cache file. A copy in another process opens the file itself, and decodes where it has gone."""

    def __init__(self, file: Path, annotations: Sequence[Annotation], size: tuple[int, int], decode: Images) -> None:
        self.file, self.decode = file, decode
        self.places: dict[Path, tuple[int, tuple[int, int]]] = {}  # where each begins, and its (h, w)
        self.bytes = 0
        for annotation in annotations:
            _, (height, width) = fitting(annotation.height, annotation.width, size)
            self.places[annotation.path] = self.bytes, (height, width)
            self.bytes += 3 * height * width
        self.pixels: np.ndarray | None = None

    def __call__(self, annotation: Annotation) -> np.ndarray:
        if self.pixels is None and not self.open():
            return self.decode(annotation)
        assert self.pixels is not None
        begin, (height, width) = self.places[annotation.path]
        return self.pixels[begin : begin + 3 * height * width].reshape(height, width, 3)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"pixels": None}

    def open(self) -> bool:
        """Map the file; False where it is absent or differs in a bit from what was written."""
        try:
            if self.file.stat().st_size != self.bytes + CRC:
                return False
            whole = np.memmap(self.file, np.uint8, "r").view(np.ndarray)
        except OSError:
            return False
        pixels, crc = whole[:-CRC], int.from_bytes(whole[-CRC:].tobytes(), "little")
        if zlib.crc32(pixels.data) != crc:
            return False
        with suppress(OSError):
            os.utime(self.file)  # it was used just now
        self.pixels = pixels
        return True

    def build(self, annotations: Sequence[Annotation], most: float, threads: int) -> None:
        """Write the file, unless another process has done so in the meantime. Raises OSError where it cannot."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.file.parent / ".lock"):
            if self.open():
                return
            self.file.unlink(missing_ok=True)
            _make_room(self.file.parent, most - self.bytes)
            work = self.file.with_suffix(".building")
            try:
                self._write(work, annotations, threads)
                work.replace(self.file)
            finally:
                work.unlink(missing_ok=True)
            if not self.open():
                raise OSError("it does not read as it was written")

    def _write(self, work: Path, annotations: Sequence[Annotation], threads: int) -> None:
        crc = 0
        with work.open("wb") as file, ThreadPoolExecutor(threads) as pool:
            for at in range(0, len(annotations), CHUNK):
                for image in pool.map(self.decode, annotations[at : at + CHUNK]):
                    data = np.ascontiguousarray(image).data
                    file.write(data)
                    crc = zlib.crc32(data, crc)
            file.write(crc.to_bytes(CRC, "little"))


def open_cache(
    annotations: Sequence[Annotation], size: tuple[int, int], train: TrainRecipe, decode: Images
) -> tuple[Images, tuple[str, ...]]:
    """The cache that `train.cache` asks for, and a sentence where it had to be another.

    `auto` is memory where all images fit and one process reads them, since every loader worker and every device would
    decode all of them again; else disk where they fit; else none.
    """
    distinct = sorted({a.path: a for a in annotations}.values(), key=lambda a: str(a.path))
    most = train.cache_gb * GB
    disk = Disk(_file(distinct, size), distinct, size, decode)
    memory = min(most, SHARE * psutil.virtual_memory().available) / (max(train.workers, 1) * train.devices)
    alone = train.workers == 0 and train.devices == 1
    kind: str = train.cache
    if kind == "auto":
        fits = disk.bytes <= most and (disk.file.exists() or disk.bytes < _free(disk.file) / 2)
        kind = "memory" if alone and disk.bytes <= memory else "disk" if fits else "none"
    if kind == "none":
        return decode, ()
    if kind == "memory":
        return Memory(decode, memory), ()
    if disk.bytes > most:
        why = f"they take {disk.bytes / GB:.2g} GB, and train.cache_gb is {train.cache_gb:g}"
    elif disk.open():
        return disk, ()
    else:
        try:
            disk.build(distinct, most, train.threads)
            return disk, ()
        except (OSError, NotImplementedError) as error:  # filelock says so where the file system has no locks
            why = f"{disk.file.parent}: {getattr(error, 'strerror', None) or error}"
    note = f"images are not cached on disk but in memory, up to {memory / GB:.2g} GB a process: {why}"
    return Memory(decode, memory), (note,)


def _file(annotations: Sequence[Annotation], size: tuple[int, int]) -> Path:
    rows = []
    for a in annotations:
        path = os.path.abspath(a.path)
        found = os.stat(path) if os.path.exists(path) else None  # a file that has gone is named when it is decoded
        rows.append([path, a.height, a.width, *([found.st_size, found.st_mtime_ns] if found else [])])
    return cache() / "images" / f"{fingerprint([VERSION, size, rows])}.rgb"


def _free(file: Path) -> int:
    """Free bytes on the disk where a file would be."""
    folder = next((parent for parent in file.parents if parent.is_dir()), Path("/"))
    return shutil.disk_usage(folder).free


def _make_room(folder: Path, most: float) -> None:
    """Remove what killed builders left, and the caches longest unused until the others take `most` bytes or less.

    A process that has one of them mapped keeps it until it ends.
    """
    for left in folder.glob("*.building"):
        left.unlink(missing_ok=True)
    files = sorted(((f.stat().st_mtime, f.stat().st_size, f) for f in folder.glob("*.rgb")), reverse=True)
    taken = 0
    for _, size, file in files:
        taken += size
        if taken > most:
            file.unlink(missing_ok=True)
