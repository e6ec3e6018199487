"""Image files as pixels. EXIF orientation is ignored, as boxes are annotated in the pixels as they are stored, unless
a picture is asked for upright, as people see it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ablab.errors import DataError

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM")
MOST_PIXELS = 80_000_000  # 240 MB once decoded; a small file that claims more is a decompression bomb or a mistake
ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}  # the last bytes of a whole file
TIFF = (b"II*\0", b"MM\0*")  # the first bytes, by the order of bytes
TAIL = 64  # bytes in which that end is looked for: some cameras and editors pad a file


def read_image(path: Path, upright: bool = False) -> np.ndarray:
    """The image as RGB.  -> (H, W, 3) uint8

    Greyscale is repeated, a palette is looked up, alpha is dropped, of 16 bits the upper eight are kept, of an
    animation the first picture. `upright` turns it as its EXIF data asks viewers to.
    Raises DataError, naming the file, where it is missing, no image, truncated, of 32-bit numbers, or larger than
    `MOST_PIXELS`.
    """
    return decode(read_bytes(path), path, upright)


def read_bytes(path: Path) -> bytes:
    """The file as it is; raises DataError where it cannot be read."""
    with _explained(path):
        return path.read_bytes()


def read_lines(path: Path, expected: str) -> list[str]:
    """The lines of a text file in UTF-8, with or without byte order mark.

    `expected` says in errors what they should be; raises DataError where the file cannot be read.
    """
    try:
        return path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}; expected {expected}, in UTF-8") from None


def decode(data: bytes, path: Path, upright: bool = False) -> np.ndarray:
    """`read_image` of bytes; `path` is only for messages.  -> (H, W, 3) uint8"""
    with _explained(path):
        if not data:
            raise DataError(f"{path} is empty; restore or remove it")
        _size(io.BytesIO(data), path)
        image = None if data[:4] in TIFF else _by_opencv(data, upright)
        return _by_pillow(data, upright) if image is None else image


def _by_opencv(data: bytes, upright: bool) -> np.ndarray | None:
    stored = 0 if upright else cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | stored)
    except cv2.error:
        return None
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _by_pillow(data: bytes, upright: bool) -> np.ndarray:
    """TIFF, where OpenCV blends alpha with black and is silent about what it cannot read; and what OpenCV refuses."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        if picture.mode.startswith("I;16"):  # Pillow itself would cut everything above 255
            return np.repeat((np.asarray(picture) >> 8).astype(np.uint8)[..., None], 3, axis=2)
        turned = ImageOps.exif_transpose(picture) if upright else picture
        return np.array(turned.convert("RGB"))


def measure(path: Path) -> tuple[int, int]:
    """Width and height from the file's header. Pixels are decoded only where the file does not end as a whole one does.

    Raises DataError as `read_image`, but for damage in the middle of a file, which only decoding finds.
    """
    with _explained(path), path.open("rb") as file:
        return _size(file, path)


def _size(file: BinaryIO, path: Path) -> tuple[int, int]:
    with Image.open(file, formats=FORMATS) as picture:
        width, height = picture.size
        if width * height > MOST_PIXELS:
            raise DataError(
                f"{path} claims {width} x {height} pixels; ablab reads up to {MOST_PIXELS // 1_000_000} million: "
                "cut the image into tiles, or take it out if it is a decompression bomb"
            )
        if picture.format == "TIFF" and picture.mode in ("I", "F"):
            raise DataError(f"{path} has numbers of 32 bits, and which of them is white is not said; make them 8 or 16")
        if not _ends(file, picture.format or ""):
            picture.load()  # raises where pixels are missing
    return width, height


def _ends(file: BinaryIO, kind: str) -> bool:
    """Whether a file ends as whole files of its format do; the position in the file is kept."""
    if kind not in ENDS:
        return False
    position = file.tell()
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - TAIL))
    whole = ENDS[kind] in file.read()
    file.seek(position)
    return whole


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Whatever goes wrong within, said as a DataError."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"no image at {path}; restore it, or take it out of the split's list") from None
    except UnidentifiedImageError:
        raise DataError(f"{path} is no image that ablab reads ({', '.join(FORMATS)}); restore or remove it") from None
    except Exception as error:  # Pillow meets broken files with errors of many types
        raise DataError(f"cannot read {path}: {error}; restore or remove it") from None
