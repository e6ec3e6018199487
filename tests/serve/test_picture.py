"""Bytes as pixels: the same as ablab reads from files, and what is too large is refused before it is decoded."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import served
from PIL import Image

from ablab.serve.limits import Limits, Refusal
from ablab.serve.picture import decode
from ablab.tasks.detection.formats.reading import read_image

RNG = np.random.default_rng(3)
COLOURS = Image.fromarray(RNG.integers(0, 256, (7, 9, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1))
GREY16 = Image.fromarray(RNG.integers(0, 2**16, (40, 30)).astype(np.uint16))


def saved(picture: Image.Image, kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **how)
    return file.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(COLOURS, "JPEG", exif=exif)


FILES = {
    "png": saved(COLOURS, "PNG"),
    "jpeg": saved(COLOURS, "JPEG"),
    "turned": turned(),
    "grey": saved(COLOURS.convert("L"), "JPEG"),
    "palette": saved(COLOURS.quantize(16), "PNG"),
    "alpha": saved(COLOURS.convert("RGBA"), "PNG"),
    "16 bits": saved(GREY16, "PNG"),
    "animated": saved(COLOURS.quantize(16), "GIF", save_all=True, append_images=[COLOURS.rotate(90).quantize(16)]),
    "webp": saved(COLOURS, "WEBP", lossless=True),
    "bmp": saved(COLOURS, "BMP"),
    "tiff": saved(COLOURS, "TIFF"),
    "one bit": saved(COLOURS.convert("1"), "PNG"),
    "a pixel": saved(COLOURS.crop((0, 0, 1, 1)), "PNG"),
}


@pytest.mark.parametrize("name", FILES)
def test_it_is_what_ablab_reads_from_a_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(FILES[name])
    expected = read_image(tmp_path / "image", upright=True).astype(int)
    found = decode(FILES[name], served.Finder(), Limits())
    assert found.dtype == np.uint8
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 3, "two decoders of JPEG may round differently"


def test_inks_are_colours() -> None:
    assert decode(saved(COLOURS.convert("CMYK"), "JPEG"), served.Finder(), Limits()).shape == (56, 72, 3)


def test_the_limit_is_on_pixels() -> None:
    assert decode(FILES["png"], served.Finder(), Limits(pixels=56 * 72)).shape == (56, 72, 3)
    with pytest.raises(Refusal, match="72 x 56 pixels") as refused:
        decode(FILES["png"], served.Finder(), Limits(pixels=56 * 72 - 1))
    assert refused.value.status == 413


def test_pixels_of_32_bits_have_no_white() -> None:
    with pytest.raises(Refusal, match="32 bits") as refused:
        decode(saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), served.Finder(), Limits())
    assert refused.value.status == 415


@pytest.mark.parametrize("name", FILES)
def test_whatever_is_cut_off_is_a_refusal_or_an_image(name: str) -> None:
    data = FILES[name]
    for length in range(0, len(data), max(1, len(data) // 40)):
        with suppress(Refusal):
            assert decode(data[:length], served.Finder(), Limits()).ndim == 3
