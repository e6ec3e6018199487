"""Bytes from anywhere as pixels: looked at before they are decoded, decoded in threads of their own."""

from __future__ import annotations

import asyncio
import io
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from ablab.contracts import Finder
from ablab.predict.pixels import frame
from ablab.serve.limits import Limits, Refusal

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM")  # those that ablab reads as files
WIDE = ("I", "F")  # pixels of 32 bits: which number is white is not said
THREADS = min(4, os.cpu_count() or 1)  # images decoded at once, each of which may take 12 bytes a pixel


class Fitted(NamedTuple):
    """An image as the network takes it: pixels (h, w, 3) uint8, their place in the image, and its (H, W)."""

    pixels: np.ndarray
    place: Any
    size: tuple[int, int]


class Decoder:
    """Images decoded and fitted, so many at once. What is given up while it is decoded still counts until it ends."""

    def __init__(self, finder: Finder, limits: Limits) -> None:
        Image.init()  # plug-ins are loaded here, not by several threads at once
        self._finder, self._limits = finder, limits
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="ablab-decoder")
        self._free = asyncio.Semaphore(THREADS)

    async def fit(self, data: bytes) -> Fitted:
        """Raises Refusal as `decode`."""
        await self._free.acquire()
        job = asyncio.get_running_loop().run_in_executor(self._pool, self._fit, data)
        job.add_done_callback(self._ended)
        return await asyncio.shield(job)

    def _ended(self, job: asyncio.Future[Fitted]) -> None:
        self._free.release()
        if not job.cancelled():
            job.exception()  # seen, even where nobody waits for it any more

    def _fit(self, data: bytes) -> Fitted:
        image = decode(data, self._finder, self._limits)
        return Fitted(*self._finder.fit(image), image.shape[:2])

    def close(self) -> None:
        """End the threads once they have nothing left to do."""
        self._pool.shutdown()


def decode(data: bytes, finder: Finder, limits: Limits) -> np.ndarray:
    """An image file's bytes as people see it.  -> (H, W, 3) uint8 RGB

    Raises Refusal: 415 for what is no image, 413 for more than `limits.pixels` (from the header, before a pixel is
    decoded), 422 for one that is damaged.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > limits.pixels:
                raise _too_many(f"{width} x {height}", limits)
            if picture.mode in WIDE:
                raise Refusal(415, "the image has pixels of 32 bits, and which is white is not said; send 8 or 16 bits")
            picture.load()
            return frame(picture, finder.read).pixels
    except UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise Refusal(415, f"this is no image that can be read; send one of {known}") from None
    except Image.DecompressionBombError:
        raise _too_many("far more", limits) from None
    except Refusal:
        raise
    except Exception:  # Pillow meets broken files with errors of many types
        raise Refusal(422, "the image is damaged or cut off: its pixels cannot be decoded; send it whole") from None


def _too_many(size: str, limits: Limits) -> Refusal:
    most = f"{limits.pixels / 1e6:g} million"
    return Refusal(413, f"the image claims {size} pixels and at most {most} are taken; send a smaller one")
