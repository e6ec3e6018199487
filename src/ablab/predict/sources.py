"""What a user calls a source: pictures, folders, patterns, videos, cameras, streams."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ablab.errors import ConfigError, suggest

PICTURES = {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"}
VIDEOS = {
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".m2ts", ".wmv", ".flv", ".ogv", ".3gp",
    ".mjpeg",
}  # fmt: skip
STREAMS = ("rtsp://", "rtsps://", "http://", "https://", "rtmp://", "udp://", "tcp://")


@dataclass(frozen=True)
class Source:
    """One file, address or camera, as the user wrote it."""

    place: str
    kind: Literal["picture", "video", "live"]


def expand(given: Iterable[str | Path]) -> list[Source]:
    """Every picture, video and stream that some words mean, files in the order of their names, each once.

    A word is a file, a folder (its pictures and videos), a pattern (`shots/**/*.jpg`), a camera's number, or a stream's
    address. Raises ConfigError for a word that means nothing, with the nearest name, and for a stream among others.
    """
    found = [source for word in given for source in _meant(str(word))]
    live = next((source.place for source in found if source.kind == "live"), None)
    if live and len(found) > 1:
        raise ConfigError(f"the camera or stream {live} never ends: nothing else would have its turn; give it alone")
    return list(dict.fromkeys(found))


def _meant(word: str) -> Iterator[Source]:
    path = Path(word)
    if word.lower().startswith(STREAMS) or (word.isdecimal() and not path.exists()):
        yield Source(word, "live")
    elif path.is_dir():
        yield from _among(path.iterdir(), f"the folder {word}")
    elif path.exists():
        yield Source(word, "video" if path.suffix.lower() in VIDEOS else "picture")
    elif glob.has_magic(word):
        yield from _among((Path(name) for name in glob.iglob(word, recursive=True)), f"the pattern '{word}'")
    else:
        near = suggest(path.name, [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else [])
        raise ConfigError(f"no image, video or folder {word}{near}")


def _among(paths: Iterable[Path], where: str) -> Iterator[Source]:
    """The pictures and videos among some paths; what else lies there is passed over."""
    known = [path for path in sorted(paths) if path.suffix.lower() in PICTURES | VIDEOS and path.is_file()]
    if not known:
        raise ConfigError(f"{where} holds no image and no video; expected {', '.join(sorted(PICTURES))}, .mp4, ...")
    for path in known:
        yield Source(str(path), "video" if path.suffix.lower() in VIDEOS else "picture")
