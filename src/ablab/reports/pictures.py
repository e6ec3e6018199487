"""Pictures as a page holds them: small enough that the whole page stays below its limit."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

from ablab.reports.view import Picture

BUDGET = 6_000_000  # bytes of all pictures, as text; the page in all stays below 10 MB
WIDEST = 1280  # px
QUALITIES = (82, 60, 35)  # of WebP: the first at which all fit


def data_uris(pictures: Sequence[Picture], budget: int = BUDGET) -> dict[str, str]:
    """{file: data URI} of every picture that can be read and still fits; the first come first.

    All have one quality: the best of `QUALITIES` at which they fit, so that a page of few pictures shows them well.
    """
    for quality in QUALITIES:
        found = {picture.file: uri for picture in pictures if (uri := _data_uri(picture.png, quality))}
        if sum(map(len, found.values())) <= budget:
            return found
    kept: dict[str, str] = {}
    for file, uri in found.items():
        if sum(map(len, kept.values())) + len(uri) <= budget:
            kept[file] = uri
    return kept


def _data_uri(png: bytes | None, quality: int) -> str:
    """A picture as WebP in a data URI; empty where there is none or it is damaged."""
    from PIL import Image, UnidentifiedImageError

    if png is None:
        return ""
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            image.thumbnail((WIDEST, 4 * WIDEST))
            buffer = io.BytesIO()
            image.convert("RGB").save(buffer, "WEBP", quality=quality)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return ""
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
