"""What stands where in a scene, before a pixel is painted: geometry alone decides the boxes.

Shapes lie on each other in this order: clutter, digits, occluders. A digit's box is tight on the ink that can be seen:
inside the scene and under no later digit and no occluder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablab.tasks.detection.formats.photo_digits.ink import fragment, letter, warp

DIGITS = (2, 8)  # of a scene that is not empty, both included
EMPTY = 0.07  # share of scenes without a digit
HEIGHT = (0.2, 0.5)  # a digit's longer side, of the scene's, log-uniform
CROSSING = 0.15  # share of digits that may cross the border
OCCLUDED = 0.25  # share of digits that get an occluder
CLUTTER = 2  # pieces a scene, at most
CURVED = (0, 2, 3, 5, 6, 8, 9)  # a quarter of another digit may well be a 1
TRIES = 30  # places that are tried for a digit before it is left out
CROWDED = 0.15  # IoU with an earlier digit above which a place is refused
KEPT = 0.8  # share of an earlier digit's ink that a later one must leave
VISIBLE = 0.4  # share of ink below which a digit has no box
OVERLAP = 0.5  # IoU that no two boxes of a scene exceed


@dataclass(frozen=True)
class Shape:
    """An opacity (h, w) in 0..1 whose top left pixel stands at (x, y), which may lie outside the scene."""

    opacity: np.ndarray
    x: int
    y: int

    def window(self, size: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The part inside the scene, as rows and columns of the scene and of the shape."""
        height, width = self.opacity.shape
        top, left = max(self.y, 0), max(self.x, 0)
        bottom, right = max(min(self.y + height, size), top), max(min(self.x + width, size), left)
        of_scene = slice(top, bottom), slice(left, right)
        return of_scene, (slice(top - self.y, bottom - self.y), slice(left - self.x, right - self.x))


@dataclass(frozen=True)
class Layout:
    """A scene's shapes from below to above, and what an annotation says: boxes (N, 4) in pixels and labels (N,)."""

    clutter: tuple[Shape, ...]
    digits: tuple[Shape, ...]
    occluders: tuple[Shape, ...]
    boxes: np.ndarray
    labels: np.ndarray


def lay_out(glyphs: np.ndarray, classes: int, size: int, rng: np.random.Generator) -> Layout:
    """Draw a scene of `size` x `size` pixels.  glyphs (10, G, 28, 28) uint8, of which `classes` classes are used."""
    while True:  # occluders may leave two boxes too much alike, once in thousands of scenes
        board = _Board(size)
        clutter = tuple(_clutter(glyphs[:classes], size, rng) for _ in range(rng.integers(0, CLUTTER + 1)))
        wanted = 0 if rng.random() < EMPTY else int(rng.integers(DIGITS[0], DIGITS[1] + 1))
        for _ in range(wanted):
            label = int(rng.integers(classes))
            opacity = warp(glyphs[label, rng.integers(glyphs.shape[1])], _height(size, rng), rng)
            _place(board, opacity, label, rng)
        occluders = tuple(_occluder(box, rng) for box in board.ink_boxes if rng.random() < OCCLUDED)
        for occluder in occluders:
            board.cover(occluder)
        boxes, labels = board.visible()
        if not len(boxes) or np.triu(overlaps(boxes, boxes), 1).max() <= OVERLAP:
            return Layout(clutter, tuple(board.shapes), occluders, boxes, labels)


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU of each with each.  (N, 4), (M, 4) -> (N, M)"""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(-1)
    one, other = ((boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second))
    return both / (one[:, None] + other[None] - both)


class _Board:
    """Which digit each pixel shows: 0 for none, otherwise its number from 1."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.owner = np.zeros((size, size), np.int64)
        self.shapes: list[Shape] = []
        self.labels: list[int] = []
        self.total: list[int] = []  # pixels of ink, also of that outside the scene
        self.seen = np.zeros(0, np.int64)  # of these, pixels that are visible
        self.ink_boxes = np.zeros((0, 4))

    def accepts(self, shape: Shape) -> bool:
        """Whether enough of the shape is in the scene, and enough of the others stays visible."""
        of_scene, of_shape = shape.window(self.size)
        ink = shape.opacity[of_shape] >= 0.5
        if ink.sum() < KEPT * (shape.opacity >= 0.5).sum():
            return False
        if len(self.shapes) and overlaps(_tight(ink, of_scene), self.ink_boxes).max() > CROWDED:
            return False
        hidden = np.bincount(self.owner[of_scene][ink], minlength=len(self.total) + 1)[1:]
        return bool((self.seen - hidden >= KEPT * np.array(self.total)).all())

    def add(self, shape: Shape, label: int) -> None:
        """Lay a digit on top."""
        of_scene, of_shape = shape.window(self.size)
        ink = shape.opacity[of_shape] >= 0.5
        self.shapes.append(shape)
        self.labels.append(label)
        self.total.append(int((shape.opacity >= 0.5).sum()))
        self.owner[of_scene][ink] = len(self.shapes)
        self.seen = self._count()
        self.ink_boxes = np.concatenate([self.ink_boxes, _tight(ink, of_scene)])

    def cover(self, shape: Shape) -> None:
        """Lay something on top that is no digit."""
        of_scene, of_shape = shape.window(self.size)
        self.owner[of_scene][shape.opacity[of_shape] >= 0.5] = 0
        self.seen = self._count()

    def visible(self) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, 4) tight on visible ink, and labels (N,), of the digits of which enough is visible."""
        everywhere = slice(0, self.size), slice(0, self.size)
        enough = np.flatnonzero(self.seen >= VISIBLE * np.array(self.total))
        boxes = [_tight(self.owner == k + 1, everywhere) for k in enough]
        labels = np.array([self.labels[k] for k in enough], np.int64)
        return np.concatenate([np.zeros((0, 4)), *boxes]), labels

    def _count(self) -> np.ndarray:
        """Visible pixels of each digit.  -> (digits,)"""
        return np.bincount(self.owner.ravel(), minlength=len(self.shapes) + 1)[1:]


def _tight(ink: np.ndarray, window: tuple[slice, slice]) -> np.ndarray:
    """The box around a mask's True, which stands at a window of the scene.  -> (1, 4)"""
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    left, top = window[1].start, window[0].start
    box = [left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1]
    return np.array([box], np.float64)


def _height(size: int, rng: np.random.Generator) -> float:
    return float(size * np.exp(rng.uniform(*np.log(HEIGHT))))


def _place(board: _Board, opacity: np.ndarray, label: int, rng: np.random.Generator) -> None:
    """Lay a digit at the first of some random places that accepts it; a full scene goes without it."""
    sides = np.array(opacity.shape)
    out = 0.4 * sides if rng.random() < CROSSING else 0 * sides
    for _ in range(TRIES):
        y, x = rng.uniform(-out, board.size - sides + out).round().astype(int)
        if board.accepts(shape := Shape(opacity, int(x), int(y))):
            board.add(shape, label)
            return


def _clutter(glyphs: np.ndarray, size: int, rng: np.random.Generator) -> Shape:
    """A letter or a quarter of a digit, anywhere."""
    if rng.random() < 0.5:
        drawn = letter(rng)
    else:
        curved = [digit for digit in CURVED if digit < len(glyphs)]
        drawn = fragment(glyphs[rng.choice(curved), rng.integers(glyphs.shape[1])])
    opacity = warp(drawn, _height(size, rng) / 2, rng)
    x, y = rng.integers(-4, size - 8, 2)
    return Shape(opacity, int(x), int(y))


def _occluder(box: np.ndarray, rng: np.random.Generator) -> Shape:
    """A rectangle or an ellipse whose centre stands on the ellipse in a digit's box."""
    sides = box[2:] - box[:2]  # (w, h)
    angle = rng.uniform(0, 2 * np.pi)
    centre = (box[:2] + box[2:]) / 2 + sides / 2 * [np.cos(angle), np.sin(angle)]
    half = np.maximum(sides.mean() * rng.uniform(0.15, 0.3, 2), 2)
    width, height = np.ceil(2 * half).astype(int)
    across = (np.arange(width) - (width - 1) / 2) / half[0]
    down = (np.arange(height) - (height - 1) / 2) / half[1]
    mask = np.ones((height, width)) if rng.random() < 0.5 else (down[:, None] ** 2 + across**2 <= 1).astype(float)
    x, y = (centre - half).round().astype(int)
    return Shape(mask, int(x), int(y))
