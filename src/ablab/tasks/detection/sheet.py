"""A contact sheet: images of a data set with their boxes, in a grid.

title                                      counts
legend: a colour for each class, and how difficult objects and crowds are marked
+--------+ +--------+ +--------+
|  tile  | |        | |        |
+--------+ +--------+ +--------+
 id         id         id
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ablab.errors import DataError
from ablab.tasks.detection.boxes import Annotation, Sample
from ablab.tasks.detection.draw import Colour, Mark, colour_of, font, hatch, mark, outline
from ablab.tasks.detection.formats.reading import read_image

WIDTH = 2000  # pixels of a sheet, about
SHAPE = 1.5  # width over height that a sheet tries to have
CELL = (220, 960)  # pixels: the least and the largest width of a tile
MARGIN, GAP = 28, 14  # pixels
CAPTION, TITLE, LINE = 24, 54, 30  # pixels: heights of a tile's caption, the title, a line of the legend
GROUND: Colour = (250, 250, 248)
EMPTY: Colour = (226, 226, 222)  # behind an image of another shape than its tile
INK: Colour = (32, 32, 32)
FAINT: Colour = (120, 120, 116)
OTHER: Colour = (185, 185, 185)  # boxes of classes that were not asked for
CROWDED = 12  # boxes in a tile from which a name may take half of its box's width: the legend tells the others
MOST_NAMED = 40  # classes in a legend


@dataclass(frozen=True)
class Tile:
    """One image: its caption, width and height in pixels, how to get its pixels, and boxes as in `Annotation`."""

    caption: str
    size: tuple[int, int]
    image: Callable[[], np.ndarray]
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray

    @staticmethod
    def of(annotation: Annotation) -> Tile:
        """An image as annotated; it is read when it is drawn."""
        a = annotation
        return Tile(a.id, (a.width, a.height), lambda: read_image(a.path), a.boxes, a.labels, a.difficult, a.crowd)

    @staticmethod
    def of_sample(sample: Sample) -> Tile:
        """An image as training sees it."""
        none = np.zeros(len(sample.labels), bool)
        size = (sample.image.shape[1], sample.image.shape[0])
        return Tile(sample.id, size, lambda: sample.image, sample.boxes, sample.labels, none, none)


@dataclass(frozen=True)
class Grid:
    """Where tiles stand: `columns` by `rows` of `width` x `height` pixels, below `top` pixels of heading."""

    columns: int
    rows: int
    width: int
    height: int
    top: int

    @staticmethod
    def of(count: int, aspect: float, top: int = 0) -> Grid:
        """The grid for `count` tiles of an aspect (width over height) that comes nearest to `SHAPE` with few gaps."""

        def cost(columns: int) -> float:
            rows = -(-count // columns)
            return abs(np.log(columns * aspect / rows / SHAPE)) + (columns * rows - count) / count

        columns = min(range(1, count + 1), key=cost)
        width = int(np.clip((WIDTH - 2 * MARGIN + GAP) // columns - GAP, *CELL))
        return Grid(columns, -(-count // columns), width, max(1, round(width / aspect)), top)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet in pixels."""
        return (
            2 * MARGIN + self.columns * (self.width + GAP) - GAP,
            self.top + self.rows * (self.height + CAPTION + GAP) - GAP + MARGIN,
        )

    def corner(self, index: int) -> tuple[int, int]:
        """Left and top of a tile in pixels."""
        row, column = divmod(index, self.columns)
        return MARGIN + column * (self.width + GAP), self.top + row * (self.height + CAPTION + GAP)


def contact_sheet(
    title: str, note: str, tiles: Sequence[Tile], classes: Sequence[str], only: str | None = None
) -> np.ndarray:
    """Draw tiles under a title, with a note at its right; boxes of another class than `only` are grey and nameless.

    An image that cannot be read is a tile that says so.  -> (H, W, 3) uint8 RGB
    """
    aspect = float(np.median([tile.size[0] / tile.size[1] for tile in tiles]))
    entries = _entries(tiles, classes, only)
    width = Grid.of(len(tiles), aspect).size[0]
    lines = _lines(entries, width - 2 * MARGIN)
    grid = Grid.of(len(tiles), aspect, MARGIN + TITLE + LINE * len(lines) + GAP)
    canvas = Image.new("RGB", grid.size, GROUND)
    pen = ImageDraw.Draw(canvas)
    _heading(pen, title, note, width)
    for number, line in enumerate(lines):
        _legend(pen, line, MARGIN + TITLE + LINE * number + LINE // 2)
    for index, tile in enumerate(tiles):
        left, top = grid.corner(index)
        pen.rectangle((left, top, left + grid.width - 1, top + grid.height - 1), fill=EMPTY)
        picture = _picture(tile, classes, only, grid)
        place = (left + (grid.width - picture.width) // 2, top + (grid.height - picture.height) // 2)
        canvas.paste(picture, place)
        caption = _cut(tile.caption, font(13), grid.width)
        pen.text((left, top + grid.height + CAPTION / 2), caption, fill=INK, font=font(13), anchor="lm")
    return np.asarray(canvas)


def _heading(pen: ImageDraw.ImageDraw, title: str, note: str, width: int) -> None:
    middle = MARGIN + TITLE / 2 - 8
    title = _cut(title, font(26), width - 2 * MARGIN)
    pen.text((MARGIN, middle), title, fill=INK, font=font(26), anchor="lm")
    left = width - 2 * MARGIN - font(26).getlength(title) - 2 * GAP
    if left > 0:
        pen.text((width - MARGIN, middle), _cut(note, font(16), left), fill=FAINT, font=font(16), anchor="rm")


def _picture(tile: Tile, classes: Sequence[str], only: str | None, grid: Grid) -> Image.Image:
    """The image with its boxes, as large as fits into a cell."""
    try:
        image = tile.image()
    except DataError:
        blank = Image.new("RGB", (grid.width, grid.height), EMPTY)
        ImageDraw.Draw(blank).text(
            (grid.width / 2, grid.height / 2), "cannot be read", fill=FAINT, font=font(15), anchor="mm"
        )
        return blank
    zoom = min(grid.width / image.shape[1], grid.height / image.shape[0])
    drawn = Image.fromarray(mark(image, _marks(tile, classes, only, zoom), zoom))
    return drawn.crop((0, 0, min(drawn.width, grid.width), min(drawn.height, grid.height)))  # it may round up


def _marks(tile: Tile, classes: Sequence[str], only: str | None, zoom: float) -> list[Mark]:
    """Large boxes first, so that small ones stay on top."""
    boxes, names = tile.boxes.reshape(-1, 4), [classes[label] for label in tile.labels]
    sides = boxes[:, 2:] - boxes[:, :2]
    crowded = sum(only in (None, name) for name in names) > CROWDED
    marks = []
    for row in np.argsort(-sides.prod(1), kind="stable"):
        name, colour = names[row], colour_of(int(tile.labels[row]))
        if only not in (None, name):
            name, colour = "", OTHER
        elif crowded and 2 * font(11).getlength(name) > zoom * sides[row, 0]:
            name = ""
        marks.append(Mark(boxes[row], name, colour, bool(tile.difficult[row]), bool(tile.crowd[row])))
    return marks


Entry = tuple[str, Colour | None, bool, bool]  # text, colour, dashed, hatched; without colour only the text


def _entries(tiles: Sequence[Tile], classes: Sequence[str], only: str | None) -> list[Entry]:
    """The classes that are on the sheet with their boxes, and the marks that are."""
    counts = np.bincount(np.concatenate([tile.labels for tile in tiles]), minlength=len(classes))
    shown = [label for label in np.flatnonzero(counts).tolist() if only in (None, classes[label])]
    entries: list[Entry] = [
        (f"{classes[label]} × {counts[label]}", colour_of(label), False, False) for label in shown[:MOST_NAMED]
    ]
    if len(shown) > MOST_NAMED:
        entries.append((f"and {len(shown) - MOST_NAMED} more classes", None, False, False))
    if only is not None and (others := counts.sum() - counts[list(shown)].sum()):
        entries.append((f"other classes × {others}", OTHER, False, False))
    if any(tile.difficult.any() for tile in tiles):
        entries.append(("difficult", FAINT, True, False))
    if any(tile.crowd.any() for tile in tiles):
        entries.append(("crowd", FAINT, False, True))
    return entries


def _lines(entries: Sequence[Entry], width: float) -> list[list[Entry]]:
    """Entries in lines of at most `width` pixels."""
    lines: list[list[Entry]] = []
    left = 0.0
    for entry in entries:
        need = _need(entry)
        if not lines or left + need > width:
            lines.append([])
            left = 0.0
        lines[-1].append(entry)
        left += need
    return lines


def _need(entry: Entry) -> float:
    return 34 + font(15).getlength(entry[0]) + 24


def _legend(pen: ImageDraw.ImageDraw, entries: Sequence[Entry], middle: float) -> None:
    left = float(MARGIN)
    for text, colour, dashed, hatched in entries:
        box = np.array([left, middle - 8, left + 26, middle + 8])
        if hatched and colour:
            hatch(pen, box, colour, 5)
        if dashed or hatched:
            outline(pen, box, colour or FAINT, 2, dashed)
        elif colour:
            pen.rectangle(tuple(box.tolist()), fill=colour)
        pen.text((left + (34 if colour else 0), middle), text, fill=INK, font=font(15), anchor="lm")
        left += _need((text, colour, dashed, hatched))


def _cut(text: str, letters: ImageFont.FreeTypeFont, width: float) -> str:
    """A text that fits into `width` pixels, with its end kept: ids differ there."""
    if letters.getlength(text) <= width:
        return text
    start = 1
    while start < len(text) and letters.getlength(f"…{text[start:]}") > width:
        start += 1
    return f"…{text[start:]}"
