"""Composed scenes on disk: composed once, whole or not at all, and held against their hashes when read.

CACHE/photo-digits/FINGERPRINT/
  scenes.json                boxes, labels, source photograph and SHA-256 of every image
  train/000000.png ...       validation/  test/

CACHE is `ABLAB_CACHE`, or else the user's cache folder. A scene depends on the seed, its split and its number, never on
how many scenes there are. Bump `COMPOSER` whenever the same seed gives other scenes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ablab.config import fingerprint
from ablab.errors import DataError, StoreError
from ablab.streams import stream
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.caching import cache as cache
from ablab.tasks.detection.formats.photo_digits.layout import lay_out
from ablab.tasks.detection.formats.photo_digits.paint import paint
from ablab.tasks.detection.formats.photo_digits.sources import BLOCKS, SPLITS, load_glyphs, load_photographs
from ablab.tasks.detection.recipe import DetectionData

COMPOSER = 1
INDEX = "scenes.json"
ABANDONED = 86400.0  # seconds after which a composer's folder is taken for that of a killed one

Progress = Callable[[int, int], None]
Scenes = dict[str, list[dict[str, Any]]]  # by split: file, boxes, labels, group, sha256


def compose(
    data: DetectionData, progress: Progress | None = None
) -> tuple[tuple[str, ...], dict[str, tuple[Annotation, ...]]]:
    """Class names and splits of photo-digits, from the cache where it is whole, else composed into it.

    `progress` is called with (done, all) scenes. Raises DataError where a split has no scenes or a package lacks a
    source, StoreError where the cache cannot be written.
    """
    if min(data.scenes) < 1:
        raise DataError(
            f"data.scenes: expected at least one scene each of {', '.join(SPLITS)}, got {list(data.scenes)}; "
            "the default is [1600, 300, 300]"
        )
    classes = data.classes or 10
    key = fingerprint([COMPOSER, classes, data.size, data.scenes, data.seed])
    folder = cache() / "photo-digits" / key
    scenes = _read(folder)
    if scenes is None:
        try:
            scenes = _fill(folder, data, classes, progress)
        except OSError as error:
            raise StoreError(
                f"cannot compose photo-digits into {folder}: {error.strerror or error}; "
                "make room, or let ABLAB_CACHE name a folder that can be written"
            ) from None
    splits = {split: tuple(_annotation(folder, row, data.size) for row in scenes[split]) for split in SPLITS}
    return tuple(str(digit) for digit in range(classes)), splits


def _annotation(folder: Path, row: dict[str, Any], size: int) -> Annotation:
    count = len(row["labels"])
    return Annotation(
        id=row["file"].removesuffix(".png").replace("/", "-"),
        path=folder / row["file"],
        width=size,
        height=size,
        boxes=np.array(row["boxes"], np.float64).reshape(-1, 4),
        labels=np.array(row["labels"], np.int64),
        difficult=np.zeros(count, bool),
        crowd=np.zeros(count, bool),
        group=row["group"],
    )


def _read(folder: Path) -> Scenes | None:
    """What a cache folder holds; None where it is absent or differs in a single bit from what was composed."""
    try:
        index = json.loads((folder / INDEX).read_bytes())
        scenes = index["scenes"]
        whole = index["sha256"] == _sha256(_plain(scenes)) and all(
            row["sha256"] == _sha256((folder / row["file"]).read_bytes()) for rows in scenes.values() for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return scenes if whole else None


def _fill(folder: Path, data: DetectionData, classes: int, progress: Progress | None) -> Scenes:
    """Compose beside the folder and rename, so that a folder is whole or absent, however many compose at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(".composing-*"):
        with suppress(FileNotFoundError):  # its composer has just ended
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=".composing-", dir=folder.parent))
    try:
        made = work / "made"
        scenes = _compose(made, data, classes, progress)
        if folder.exists() and _read(folder) is None:
            with suppress(FileNotFoundError):  # another process was first to move it away
                folder.rename(work / "damaged")
        try:
            made.rename(folder)
        except OSError:  # another process was first; scenes depend on the parameters alone, so its are as good
            if _read(folder) is None:
                raise
        return scenes
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _compose(folder: Path, data: DetectionData, classes: int, progress: Progress | None) -> Scenes:
    glyphs = load_glyphs()
    scenes: Scenes = {}
    done = 0
    for split, count in zip(SPLITS, data.scenes, strict=True):
        (folder / split).mkdir(parents=True)
        photographs = load_photographs(split)
        scenes[split] = []
        for number in range(count):
            row, png = compose_scene(data, classes, split, number, glyphs[:, BLOCKS[split]], photographs)
            (folder / row["file"]).write_bytes(png)
            scenes[split].append(row)
            done += 1
            if progress:
                progress(done, sum(data.scenes))
    (folder / INDEX).write_bytes(_plain({"scenes": scenes, "sha256": _sha256(_plain(scenes))}))
    return scenes


def compose_scene(
    data: DetectionData,
    classes: int,
    split: str,
    number: int,
    glyphs: np.ndarray,
    photographs: dict[str, np.ndarray],
) -> tuple[dict[str, Any], bytes]:
    """One scene: its row of the index and its PNG. glyphs (10, G, 28, 28) and photographs are the split's own."""
    key = ("photo-digits", COMPOSER, data.seed, split, number)
    rng = stream(*key, "layout")
    group = str(rng.choice(sorted(photographs)))
    layout = lay_out(glyphs, classes, data.size, rng)
    others = [photographs[name] for name in sorted(photographs)]
    image = paint(layout, data.size, photographs[group], others, stream(*key, "paint"))
    png = cv2.imencode(".png", image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    row = {
        "file": f"{split}/{number:06d}.png",
        "boxes": layout.boxes.astype(int).tolist(),
        "labels": layout.labels.tolist(),
        "group": group,
        "sha256": _sha256(png),
    }
    return row, png


def _plain(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
