"""A contact sheet for each kind of error: the most telling ones, an image each, cut out and drawn."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

from ablab.contracts import Items, Panel
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.diagnosis.errors import KINDS, MISSED, Errors
from ablab.tasks.detection.draw import Mark, mark
from ablab.tasks.detection.formats.reading import read_image
from ablab.tasks.detection.metrics.average import counted
from ablab.tasks.detection.panels import FOUND, WRONG
from ablab.tasks.detection.panels import MISSED as MEANT
from ablab.tasks.detection.sheet import OTHER, Tile, contact_sheet

MOST = 12
CONTEXT = 3.0  # sides of a window in longer sides of what it shows
LEAST = 96  # pixels of the image: the least side of a window
SIDE = 480  # pixels of a drawn window
NOTE = "dashed orange: the object meant · red: wrong · green: what found it · grey: other objects"
SAYS = {
    "classification": "in its place, but of another class",
    "localisation": "of the right class, but badly placed",
    "both": "of another class and badly placed",
    "duplicate": "on an object that a better detection has found",
    "background": "where no object is",
    "missed": "objects without any detection near",
}


def error_sheets(
    items: Items, errors: Errors, annotations: Mapping[str, Annotation], most: int = MOST
) -> tuple[Panel, ...]:
    """One sheet for each kind that occurs, in the order of `KINDS`, of at most `most` images.

    The highest score comes first, and among missed objects the largest: what should have been easiest. `annotations`
    are those of the split by image id; images without one are passed over, and one that cannot be read says so in its
    tile. Give errors found at the threshold at which the run is read.
    """
    known = np.isin(items["images"], list(annotations))[errors.image]
    sheets = []
    for kind, name in enumerate(KINDS):
        rows = _telling(items, errors, np.flatnonzero((errors.kind == kind) & known))[:most]
        if not len(rows):
            continue
        total = int((errors.kind == kind).sum())
        tiles = [_tile(items, errors, row, annotations) for row in rows.tolist()]
        picture = contact_sheet(f"{name}: {total:,}", NOTE, tiles, items["classes"].tolist())
        first = "the largest" if kind == MISSED else "the surest"
        caption = f"{name.capitalize()}: {SAYS[name]}. {first.capitalize()} of {total:,}, one an image."
        sheets.append(Panel(name, caption, sheet_png(picture)))
    return tuple(sheets)


def sheet_png(picture: np.ndarray) -> bytes:
    """A contact sheet (H, W, 3) uint8 RGB as a PNG of 256 colours: a quarter of the bytes, as a page holds many."""
    buffer = io.BytesIO()
    few = Image.fromarray(picture).quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(buffer, "PNG")
    return buffer.getvalue()


def _telling(items: Items, errors: Errors, rows: np.ndarray) -> np.ndarray:
    """The best of each image, the best image first.  (n,) rows of errors -> (m,)"""
    missed = errors.kind[rows] == MISSED
    worth = np.empty(len(rows))
    worth[missed] = items["truth_area"][errors.truth[rows[missed]]]
    worth[~missed] = items["detection_score"][errors.detection[rows[~missed]]]
    ranked = rows[np.argsort(-worth, kind="stable")]
    _, first = np.unique(errors.image[ranked], return_index=True)
    return ranked[np.sort(first)]


def _tile(items: Items, errors: Errors, row: int, annotations: Mapping[str, Annotation]) -> Tile:
    annotation = annotations[str(items["images"][errors.image[row]])]
    marks = _marks(items, errors, row)
    left, top, right, bottom = _window(np.stack([m.box for m in marks]), annotation.width, annotation.height)
    others = np.flatnonzero(counted(items) & (items["truth_image"] == errors.image[row]))
    grey = [Mark(items["truth_box"][truth], "", OTHER) for truth in others.tolist() if truth != errors.truth[row]]
    corner = np.array([left, top, left, top])
    drawn = [Mark(m.box - corner, m.text, m.colour, m.dashed) for m in [*grey, *marks]]

    def picture() -> np.ndarray:
        window = read_image(annotation.path)[top:bottom, left:right]
        return mark(window, drawn, SIDE / max(right - left, bottom - top))

    none = np.zeros(0, bool)
    return Tile(annotation.id, (SIDE, SIDE), picture, np.zeros((0, 4)), np.zeros(0, np.int64), none, none)


def _marks(items: Items, errors: Errors, row: int) -> list[Mark]:
    """The object meant, what found it, and the wrong detection, which comes last and on top."""
    classes, truth, detection = items["classes"], int(errors.truth[row]), int(errors.detection[row])

    def shown(found: int, colour: tuple[int, int, int]) -> Mark:
        text = f"{classes[items['detection_label'][found]]} {items['detection_score'][found]:.2f}"
        return Mark(items["detection_box"][found].astype(np.float64), text, colour)

    marks = []
    if truth >= 0:
        marks.append(Mark(items["truth_box"][truth], str(classes[items["truth_label"][truth]]), MEANT, dashed=True))
    if errors.kind[row] == KINDS.index("duplicate"):
        marks.append(shown(int(np.flatnonzero(items["detection_truth"] == truth)[0]), FOUND))
    if detection >= 0:
        marks.append(shown(detection, WRONG))
    return marks


def _window(boxes: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """A square about boxes (n, 4), inside the image as far as that is large enough: x1 y1 x2 y2 in whole pixels."""
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    side = max(CONTEXT * float((high - low).max()), LEAST)
    sides = np.minimum([side, side], [width, height]).round().astype(int)
    corner = ((low + high - sides) / 2).round().astype(int).clip(0, np.array([width, height]) - sides)
    left, top = corner.tolist()
    return left, top, left + int(sides[0]), top + int(sides[1])
