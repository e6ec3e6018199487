import base64
import io
import random

from PIL import Image

from ablab.reports.pictures import data_uris
from ablab.reports.view import Picture


def picture(file, size=(64, 48), noise=False):
    buffer = io.BytesIO()
    image = Image.new("RGB", size, (200, 40, 40))
    if noise:
        image = Image.frombytes("RGB", size, random.Random(file).randbytes(3 * size[0] * size[1]))
    image.save(buffer, "PNG")
    return Picture("fixed", file, "", file, buffer.getvalue())


def decoded(uri):
    head, _, data = uri.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_a_picture_comes_back_as_it_was():
    image = decoded(data_uris([picture("a")])["a"])
    assert image.size == (64, 48)
    assert max(abs(a - b) for a, b in zip(image.convert("RGB").getpixel((30, 20)), (200, 40, 40), strict=True)) < 8


def test_what_is_too_wide_for_a_page_is_made_smaller():
    assert decoded(data_uris([picture("a", (2560, 400))])["a"]).size == (1280, 200)


def test_what_is_missing_or_damaged_is_left_out():
    broken = [Picture("fixed", "t", "", "none"), Picture("fixed", "t", "", "bad", b"no picture")]
    assert list(data_uris([*broken, picture("a")])) == ["a"]


def test_the_budget_is_kept_first_by_quality_then_by_number():
    many = [picture(f"{number}", (160, 160), noise=True) for number in range(6)]
    best = data_uris(many)
    total = sum(map(len, best.values()))
    worse = data_uris(many, total - 1)
    assert list(worse) == list(best)
    assert sum(map(len, worse.values())) < total
    few = data_uris(many, 3 * max(map(len, worse.values())) // 2)
    assert 0 < len(few) < 6
    assert sum(map(len, few.values())) <= 3 * max(map(len, worse.values())) // 2
