"""The bytes of an image out of a request: its body, or the file in a form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from ablab.serve.limits import Limits, Refusal, Share

PIECE = 65_536  # bytes of a form that are taken apart at once
FORM = "multipart/form-data"


async def read_image_bytes(request: Request, limits: Limits, share: Share) -> bytes:
    """The image that a request carries; `share` is taken from while the body comes in.

    Raises Refusal: 413 as soon as more than `limits.bytes` are announced or have come, 408 where they come too slowly,
    400 for nothing or a form without a file, 503 where bodies of others fill the memory.
    """
    try:
        async with asyncio.timeout(limits.seconds):
            body = await _read(request, limits, share)
    except TimeoutError:
        raise Refusal(
            408, f"the image did not arrive within {limits.seconds:g} s; send it faster, or a smaller one"
        ) from None
    if request.headers.get("content-type", "").lower().startswith(FORM):
        body = await _file(request, body)
    if not body:
        raise Refusal(400, "the request holds no bytes; send an image as its body, or as a file in a form")
    return body


async def _read(request: Request, limits: Limits, share: Share) -> bytes:
    too_large = Refusal(413, f"the body is larger than {limits.bytes / 1e6:g} MB; send a smaller image")
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limits.bytes:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > limits.bytes:
            raise too_large
        share.take(len(chunk))
        body += chunk
    return bytes(body)


async def _file(request: Request, body: bytes) -> bytes:
    """The first file of a form; it stays in memory, since the body's size is known to be small enough."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(body), PIECE):
            yield body[start : start + PIECE]

    parser = MultiPartParser(request.headers, pieces(), max_files=1, max_fields=8)
    parser.spool_max_size = len(body) + 1
    try:
        form = await parser.parse()
    except MultiPartException:
        raise Refusal(400, "the form cannot be read; send multipart/form-data with one file in it") from None
    try:
        for value in form.values():
            if isinstance(value, UploadFile):
                return await value.read()
    finally:
        await form.close()
    raise Refusal(400, "the form holds no file; send the image as a file in it, or as the body itself")
