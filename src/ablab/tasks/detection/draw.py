"""Boxes with readable labels on an image."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]  # RGB
Rectangle = tuple[int, int, int, int]  # x1 y1 x2 y2, whole pixels

# Okabe and Ito 2008 (https://jfly.uni-koeln.de/color/), told apart by colour-blind readers too; black is left out.
# For more classes come colours between them, which need their names beside them.
PALETTE: tuple[Colour, ...] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
    (238, 51, 119),
    (170, 204, 51),
    (150, 110, 240),
    (51, 204, 187),
    (200, 30, 30),
    (160, 100, 50),
    (250, 170, 170),
)
DARK: Colour = (30, 30, 30)  # between dashes, so that they stand out on any ground


@dataclass(frozen=True)
class Mark:
    """A box to draw: x1 y1 x2 y2 in pixels of the image, its text (may be empty) and its look."""

    box: np.ndarray
    text: str
    colour: Colour
    dashed: bool = False
    hatched: bool = False


def draw(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    scores: np.ndarray | None = None,
    least: int = 320,
) -> np.ndarray:
    """Draw boxes (N, 4) with their class names, and scores where given, on a copy of an image (H, W, 3) uint8 RGB.

    An image whose longer side is under `least` pixels is enlarged first, so that the labels can be read.
    """
    texts = [classes[label] for label in labels]
    if scores is not None:
        texts = [f"{text} {score:.2f}" for text, score in zip(texts, scores, strict=True)]
    colours = [colour_of(int(label)) for label in labels]
    marks = [Mark(*mark) for mark in zip(boxes, texts, colours, strict=True)]
    return mark(image, marks, max(1.0, least / max(image.shape[:2])))


def colour_of(label: int) -> Colour:
    """The colour of a class, the same on every picture."""
    return PALETTE[label % len(PALETTE)]


def mark(image: np.ndarray, marks: Sequence[Mark], zoom: float = 1.0) -> np.ndarray:
    """Zoom an image (H, W, 3) and draw marks on it; the lines' width and the letters grow with the image."""
    if zoom != 1:
        method = cv2.INTER_CUBIC if zoom > 1 else cv2.INTER_AREA
        image = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=method)
    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    side = max(canvas.size)
    width = max(2, round(side / 200))
    for item in marks:
        if item.hatched:
            hatch(pen, item.box * zoom, item.colour, 8 * width)
        outline(pen, item.box * zoom, item.colour, width, item.dashed)
    letters = font(max(11, round(side / 36)))
    boxes = [_rectangle(item.box * zoom) for item in marks]
    plates: list[Rectangle] = []  # labels come last, over every line, each where it hides least
    for item, box in zip(marks, boxes, strict=True):
        if item.text:
            plates.append(_place(box, letters, item.text, canvas.size, plates, boxes))
            _write(pen, plates[-1], item, letters)
    return np.asarray(canvas)


def outline(pen: ImageDraw.ImageDraw, box: np.ndarray, colour: Colour, width: int, dashed: bool = False) -> None:
    """Draw a rectangle whose outer edge is the box's, for edges of pixels x1 y1 x2 y2."""
    x1, y1, x2, y2 = _rectangle(box)
    x2, y2 = max(x2, x1 + 1) - 1, max(y2, y1 + 1) - 1  # Pillow's far corner is the last pixel, not its edge
    if not dashed:
        pen.rectangle((x1, y1, x2, y2), outline=colour, width=width)
        return
    pen.rectangle((x1, y1, x2, y2), outline=DARK, width=width)
    for start, end in _dashes(x1, x2, width):
        pen.rectangle((start, y1, end, y1 + width - 1), fill=colour)
        pen.rectangle((start, y2 - width + 1, end, y2), fill=colour)
    for start, end in _dashes(y1, y2, width):
        pen.rectangle((x1, start, x1 + width - 1, end), fill=colour)
        pen.rectangle((x2 - width + 1, start, x2, end), fill=colour)


def hatch(pen: ImageDraw.ImageDraw, box: np.ndarray, colour: Colour, step: int) -> None:
    """Draw thin diagonals across a box x1 y1 x2 y2, `step` pixels apart."""
    x1, y1, x2, y2 = _rectangle(box)
    for offset in range(x1 - y2 + step, x2 - y1, step):  # x - y of a diagonal
        left, right = max(x1, y1 + offset), min(x2, y2 + offset)
        pen.line((left, left - offset, right, right - offset), fill=colour)


def _dashes(first: int, last: int, width: int) -> Iterator[tuple[int, int]]:
    """The dashes of one side, beginning and ending with one, so that corners are drawn."""
    count = max(2, round((last - first) / (5 * width)))
    step = (last - first) / (count - 0.4)  # a dash is 0.6 of a step
    for index in range(count):
        yield round(first + index * step), min(round(first + (index + 0.6) * step), last)


def _place(
    box: Rectangle,
    letters: ImageFont.FreeTypeFont,
    text: str,
    size: tuple[int, int],
    plates: Sequence[Rectangle],
    boxes: Sequence[Rectangle],
) -> Rectangle:
    """Where the plate of a text goes: above, below or inside its box, by the shares of plates and boxes it hides."""
    x1, y1, x2, y2 = box
    height = round(letters.size * 1.3)
    width = round(letters.getlength(text)) + height // 2
    tops, lefts = (y1 - height, y2, y1, y2 - height), (x1, x2 - width)
    places = []
    for left, top in ((left, top) for top in tops for left in lefts):
        left, top = min(max(left, 0), max(size[0] - width, 0)), min(max(top, 0), max(size[1] - height, 0))
        places.append((left, top, left + width, top + height))

    def hidden(place: Rectangle) -> float:
        return 3 * sum(_covered(plate, place) for plate in plates) + sum(_covered(other, place) for other in boxes)

    return min(places, key=hidden)  # of equals, the first


def _write(pen: ImageDraw.ImageDraw, plate: Rectangle, item: Mark, letters: ImageFont.FreeTypeFont) -> None:
    pen.rectangle((plate[0], plate[1], plate[2] - 1, plate[3] - 1), fill=item.colour)
    light = 0.299 * item.colour[0] + 0.587 * item.colour[1] + 0.114 * item.colour[2]
    middle = ((plate[0] + plate[2]) / 2, (plate[1] + plate[3]) / 2)
    pen.text(middle, item.text, fill="black" if light > 110 else "white", font=letters, anchor="mm")


def _rectangle(box: np.ndarray) -> Rectangle:
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    return x1, y1, x2, y2


def _covered(rectangle: Rectangle, by: Rectangle) -> float:
    """The share of a rectangle's area that another covers."""
    wide = min(rectangle[2], by[2]) - max(rectangle[0], by[0])
    tall = min(rectangle[3], by[3]) - max(rectangle[1], by[1])
    area = (rectangle[2] - rectangle[0]) * (rectangle[3] - rectangle[1])
    return max(wide, 0) * max(tall, 0) / max(area, 1)


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib carries and which knows more scripts than Pillow's own; `size` in pixels."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def encode_png(image: np.ndarray, small: bool = True) -> bytes:
    """An image (H, W, 3) uint8 RGB as the bytes of a PNG file; without `small` three times as fast, a little larger."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=small)
    return buffer.getvalue()
