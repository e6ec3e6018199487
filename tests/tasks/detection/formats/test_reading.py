"""Image files of many kinds against the pixels that were written, and files that are no images."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from ablab.errors import DataError
from ablab.tasks.detection.formats.reading import decode, measure, read_image

PIXELS = np.random.default_rng(7).integers(0, 256, (30, 40, 3), dtype=np.uint8)
GREY = PIXELS[..., 0]


def encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
def test_colours_come_back_in_the_order_rgb(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    Image.fromarray(PIXELS).save(path)
    image = read_image(path)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, PIXELS)
    assert measure(path) == (40, 30)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK", "YCbCr"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".gif"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str, suffix: str) -> None:
    """Against Pillow's own conversion of what it reads back."""
    path = tmp_path / f"x{suffix}"
    try:
        Image.fromarray(PIXELS).convert(mode).save(path)
    except (OSError, ValueError):
        pytest.skip(f"Pillow does not write {mode} to {suffix}")
    with Image.open(path) as written:
        expected = np.array(written.convert("RGB"))
    np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize(
    ("suffix", "options"), [(".png", {}), (".tif", {}), (".webp", {"lossless": True, "exact": True})]
)
def test_alpha_is_dropped_not_blended(tmp_path: Path, suffix: str, options: dict[str, bool]) -> None:
    for opacity in (0, 100, 255):
        transparent = np.dstack([PIXELS, np.full((30, 40), opacity, np.uint8)])
        Image.fromarray(transparent).save(tmp_path / f"x{suffix}", **options)
        np.testing.assert_array_equal(read_image(tmp_path / f"x{suffix}"), PIXELS)


def test_a_palette_with_a_transparent_colour_keeps_it(tmp_path: Path) -> None:
    picture = Image.fromarray(PIXELS).convert("P", palette=Image.Palette.ADAPTIVE)
    picture.save(tmp_path / "x.png", transparency=3)
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), np.array(picture.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_of_any_colour_space(tmp_path: Path, mode: str, progressive: bool) -> None:
    """Against Pillow, which shares the library but not the conversion; CMYK is what printers' files come in."""
    smooth = np.stack(np.broadcast_arrays(*np.ix_(np.arange(0, 240, 4), np.arange(0, 240, 3), [20, 40])), axis=0)
    picture = Image.fromarray((smooth[0] + smooth[2] // 20).astype(np.uint8)[..., [0, 1, 0]]).convert(mode)
    picture.save(tmp_path / "x.jpg", quality=95, progressive=progressive)
    with Image.open(tmp_path / "x.jpg") as written:
        expected = np.array(written.convert("RGB")).astype(int)
    assert np.abs(read_image(tmp_path / "x.jpg") - expected).max() <= 2


def test_sixteen_bits_a_colour_keep_the_upper_eight(tmp_path: Path) -> None:
    deep = (PIXELS.astype(np.uint16) << 8) + 200
    for suffix in (".png", ".tif"):
        cv2.imwrite(str(tmp_path / f"x{suffix}"), deep[..., ::-1])
        np.testing.assert_array_equal(read_image(tmp_path / f"x{suffix}"), PIXELS)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_numbers_of_32_bits_are_refused(tmp_path: Path, dtype: type) -> None:
    """Read as 8 bits, 0 to 1 would be a black image, and nobody would know."""
    Image.fromarray((GREY / 255).astype(dtype)).save(tmp_path / "x.tif")
    for read in (read_image, measure):
        with pytest.raises(DataError, match=r"x\.tif has numbers of 32 bits"):
            read(tmp_path / "x.tif")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_of_sixteen_bits_the_upper_eight_are_kept(tmp_path: Path, suffix: str) -> None:
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    cv2.imwrite(str(tmp_path / f"x{suffix}"), deep)
    np.testing.assert_array_equal(read_image(tmp_path / f"x{suffix}"), np.repeat((deep >> 8)[..., None], 3, axis=2))


def test_exif_orientation_is_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter
    Image.fromarray(PIXELS).save(tmp_path / "x.jpg", exif=exif, quality=95)
    Image.fromarray(PIXELS).save(tmp_path / "y.jpg", quality=95)
    np.testing.assert_array_equal(read_image(tmp_path / "x.jpg"), read_image(tmp_path / "y.jpg"))
    assert measure(tmp_path / "x.jpg") == (40, 30)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_upright_is_what_viewers_show(tmp_path: Path, turn: int, suffix: str) -> None:
    """Against Pillow's own turning, for each of the eight orientations."""
    exif = Image.Exif()
    exif[0x0112] = turn
    lossless = {".jpg": {"quality": 100, "subsampling": 0}, ".webp": {"lossless": True}}
    Image.fromarray(PIXELS).save(tmp_path / f"x{suffix}", exif=exif, **lossless.get(suffix, {}))
    with Image.open(tmp_path / f"x{suffix}") as written:
        expected = np.array(ImageOps.exif_transpose(written).convert("RGB"))
    image = read_image(tmp_path / f"x{suffix}", upright=True)
    assert image.shape == ((40, 30, 3) if turn > 4 else (30, 40, 3))
    np.testing.assert_allclose(image.astype(int), expected.astype(int), atol=2 if suffix == ".jpg" else 0)


def test_of_an_animation_the_first_picture_is_read(tmp_path: Path) -> None:
    first = Image.fromarray(PIXELS).convert("P", palette=Image.Palette.ADAPTIVE)
    for suffix in (".gif", ".webp", ".png"):
        first.convert("RGB").save(
            tmp_path / f"x{suffix}", save_all=True, append_images=[Image.new("RGB", (40, 30))], duration=50, loop=0,
            **({"lossless": True} if suffix == ".webp" else {}),
        )  # fmt: skip
        with Image.open(tmp_path / f"x{suffix}") as written:
            expected = np.array(written.convert("RGB"))
        assert expected.any()
        np.testing.assert_array_equal(read_image(tmp_path / f"x{suffix}"), expected)


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"x\.jpg is empty"):
        read_image(tmp_path / "x.jpg")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP"])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.95])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, kind: str, share: float) -> None:
    """The header alone, as training looks at a file before it starts, is enough to see it."""
    data = encoded(Image.fromarray(PIXELS), kind)
    path = tmp_path / f"cut.{kind.lower()}"
    path.write_bytes(data[: int(len(data) * share)])
    for read in (read_image, measure):
        with pytest.raises(DataError, match=r"cut\."):
            read(path)


def test_padding_after_the_end_does_no_harm(tmp_path: Path) -> None:
    for kind in ("JPEG", "PNG"):
        path = tmp_path / f"padded.{kind.lower()}"
        whole = encoded(Image.fromarray(PIXELS), kind)
        path.write_bytes(whole + bytes(300))
        assert measure(path) == (40, 30)
        np.testing.assert_array_equal(read_image(path), decode(whole, path))


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no image at .*absent\.jpg"):
        read_image(tmp_path / "absent.jpg")
    with pytest.raises(DataError, match=r"cannot read"):
        read_image(tmp_path)
    (tmp_path / "page.jpg").write_text("<html>404</html>")
    with pytest.raises(DataError, match=r"page\.jpg is no image that ablab reads \(JPEG, PNG"):
        read_image(tmp_path / "page.jpg")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    """A PNG of a few bytes that claims `side` squared pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )
    path = tmp_path / "bomb.png"
    path.write_bytes(data)
    for read in (read_image, measure):
        with pytest.raises(DataError, match=r"bomb\.png.*(claims|decompression bomb)"):
            read(path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow on broken TIFFs
@given(st.binary(max_size=120), st.sampled_from(["JPEG", "PNG", "GIF", "TIFF"]), st.integers(0, 60))
def test_any_bytes_are_an_image_or_a_data_error(data: bytes, kind: str, head: int) -> None:
    """Noise, and noise behind the beginning of a real file."""
    mixed = encoded(Image.fromarray(PIXELS), kind)[:head] + data
    try:
        image = decode(mixed, Path("noise"))
    except DataError:
        return
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
