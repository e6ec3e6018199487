"""Looking at image files: what one decoding tells, in this process and in others."""

from __future__ import annotations

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from lookers import crashing, named
from PIL import Image

from ablab.tasks.detection.formats.check import images as check_images
from ablab.tasks.detection.formats.check.images import SIDE, examine, look_at_all
from ablab.tasks.detection.formats.reading import measure

PATHS = [Path(f"{number:02}") for number in range(40)]


def photo(rng: np.random.Generator, width: int = 96, height: int = 64) -> np.ndarray:
    coarse = rng.uniform(0, 255, (8, 12, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def test_looks_come_in_the_order_of_the_paths_and_progress_counts_them() -> None:
    seen: list[tuple[int, int]] = []
    looks = look_at_all(PATHS, lambda done, total: seen.append((done, total)), workers=2, examine=named)
    assert [look.damage for look in looks] == [path.name for path in PATHS]
    assert seen == [(done, 40) for done in range(1, 41)]


def test_a_file_that_ends_its_process_is_named_and_the_others_are_looked_at() -> None:
    looks = look_at_all(PATHS, workers=2, examine=crashing)
    broken = [path.name for path, look in zip(PATHS, looks, strict=True) if look.error]
    assert broken == ["07", "08", "30"]
    assert all(look.damage == path.name for path, look in zip(PATHS, looks, strict=True) if not look.error)
    assert "ends the process" in looks[7].error


def test_processes_see_what_this_process_sees(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.jpg" for number in range(6)]
    for path in paths:
        Image.fromarray(photo(rng)).save(path)
    paths[3].write_bytes(paths[3].read_bytes()[:-300])
    paths[4].write_bytes(b"nothing")
    one, two = look_at_all(paths, workers=1), look_at_all(paths, workers=2)
    for a, b in zip(one, two, strict=True):
        assert (a.error, a.size, a.content, a.orientation, a.form, a.damage) == (
            b.error,
            b.size,
            b.content,
            b.orientation,
            b.form,
            b.damage,
        )
        np.testing.assert_array_equal(a.thumbnail, b.thumbnail)
    assert [bool(look.error) for look in one] == [False, False, False, True, True, False]


def test_a_thumbnail_is_the_mean_of_areas(tmp_path: Path) -> None:
    """Each 3 x 2 block of a grey image becomes one pixel of its mean."""
    rng = np.random.default_rng(1)
    grey = rng.integers(0, 256, (2 * SIDE, 3 * SIDE), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    look = examine(tmp_path / "a.png")
    means = grey.reshape(SIDE, 2, SIDE, 3).mean((1, 3))
    assert look.size == (3 * SIDE, 2 * SIDE)
    assert look.brightest == grey.max()
    np.testing.assert_allclose(look.thumbnail, means, atol=0.51)


@pytest.mark.parametrize(
    ("mode", "suffix", "form"),
    [
        ("RGB", ".jpg", ""),
        ("L", ".jpg", ""),
        ("CMYK", ".jpg", "CMYK"),
        ("P", ".png", "palette"),
        ("RGBA", ".png", "alpha"),
        ("LA", ".png", "alpha"),
        ("I;16", ".png", "16-bit"),
        ("I;16", ".tif", "16-bit"),
        ("1", ".png", ""),
        ("P", ".gif", "palette"),
        ("RGBA", ".webp", "alpha"),
    ],
)
def test_forms(mode: str, suffix: str, form: str, tmp_path: Path) -> None:
    picture = Image.fromarray(photo(np.random.default_rng(2)))
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        picture = picture.quantize(32) if mode == "P" else picture.convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))  # WebP drops an alpha that hides nothing
    picture.save(tmp_path / f"a{suffix}")
    look = examine(tmp_path / f"a{suffix}")
    assert (look.error, look.form) == ("", form)


def test_colour_with_16_bits_is_seen_though_pillow_calls_it_rgb(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), photo(np.random.default_rng(3)).astype(np.uint16) * 257)
    assert examine(tmp_path / "a.png").form == "16-bit"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("tag", [1, 3, 8])
def test_orientation_and_stored_pixels(suffix: str, tag: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(photo(np.random.default_rng(4))).save(tmp_path / f"a{suffix}", exif=exif)
    look = examine(tmp_path / f"a{suffix}")
    turned = suffix == ".tif" and tag == 8  # decoders of TIFF turn the image themselves
    assert (look.orientation, look.size) == (tag, (64, 96) if turned else (96, 64))
    assert look.size == measure(tmp_path / f"a{suffix}")


def test_what_other_threads_write_on_standard_error_is_passed_on(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    said: list[bytes] = []
    with check_images._overhearing(said):
        os.write(2, b"Corrupt JPEG data: 7 extraneous bytes before marker 0xd9\nlibpng warning: iCCP\n\r 40% 3/8")
    assert said == [b"Corrupt JPEG data: 7 extraneous bytes before marker 0xd9"]
    assert capfd.readouterr().err == "\r 40% 3/8"


def test_anything_may_be_in_a_file(tmp_path: Path) -> None:
    """Random bytes and JPEGs with random damage are an answer, never an exception."""
    rng = np.random.default_rng(5)
    buffer = io.BytesIO()
    Image.fromarray(photo(rng)).save(buffer, "JPEG")
    for number in range(60):
        data = bytearray(buffer.getvalue())
        for _ in range(number % 7 + 1):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        file = tmp_path / f"{number}.jpg"
        file.write_bytes(data if number % 3 else rng.integers(0, 256, 200, dtype=np.uint8).tobytes())
        look = examine(file)
        assert look.error or look.size[0] > 0
