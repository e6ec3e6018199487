"""Suspect labels as pictures: the label, what the model sees there, and what stands beside."""

from __future__ import annotations

import numpy as np

from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.diagnosis.suspicion import Suspect
from ablab.tasks.detection.draw import Mark, encode_png, mark
from ablab.tasks.detection.formats.reading import read_image
from ablab.tasks.detection.panels import FOUND, MISSED
from ablab.tasks.detection.sheet import OTHER

MARGIN = 0.5  # of the boxes' longer side, around them
LEAST_MARGIN = 16.0  # pixels of the image
SIDE = 320  # pixels: the longer side of a crop


def crop(suspect: Suspect, annotation: Annotation) -> bytes:
    """The window of the image around a suspect, as a PNG whose longer side is about `SIDE` pixels.

    The suspect label is dashed orange, with its class; the model's box green, with class and score; other labels are
    grey. Raises DataError where the image cannot be read.
    """
    image = read_image(annotation.path)
    boxes = np.array([box for box in (suspect.label_box, suspect.seen_box) if box is not None])
    left, top, right, bottom = _window(boxes, image.shape[1], image.shape[0])
    marks = [Mark(box, "", OTHER) for box in annotation.boxes if not _is(box, suspect)]
    if suspect.label_box is not None:
        marks.append(Mark(np.array(suspect.label_box), suspect.label or "", MISSED, dashed=True))
    if suspect.seen_box is not None:
        marks.append(Mark(np.array(suspect.seen_box), f"{suspect.seen} {suspect.score:.2f}", FOUND))
    corner = np.array([left, top, left, top])
    marks = [Mark(m.box - corner, m.text, m.colour, m.dashed) for m in marks if _meets(m.box, left, top, right, bottom)]
    window = image[top:bottom, left:right]
    return encode_png(mark(window, marks, SIDE / max(window.shape[:2])))


def _window(boxes: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """x1 y1 x2 y2 in whole pixels, inside the image and at least one pixel each way."""
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    margin = max(MARGIN * float((high - low).max()), LEAST_MARGIN)
    left, top = (int(v) for v in np.floor(low - margin).clip(0, (width - 1, height - 1)))
    right, bottom = (int(v) for v in np.ceil(high + margin).clip((left + 1, top + 1), (width, height)))
    return left, top, right, bottom


def _is(box: np.ndarray, suspect: Suspect) -> bool:
    return suspect.label_box is not None and np.array_equal(box, suspect.label_box)


def _meets(box: np.ndarray, left: int, top: int, right: int, bottom: int) -> bool:
    return bool(box[0] < right and box[2] > left and box[1] < bottom and box[3] > top)
