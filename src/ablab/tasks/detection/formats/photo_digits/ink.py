"""Strokes as masks: a handwritten glyph turned, sheared and sized; and what only looks like one.

Everything here is arithmetic in numpy, so that boxes do not depend on the version of an image library.
"""

from __future__ import annotations

import itertools

import numpy as np

from ablab.tasks.detection.formats.photo_digits.sources import SIDE

DEGREES = 20.0  # rotation, +-
SHEAR = 0.15  # +- pixels across a pixel down
ASPECT = 0.15  # width, 1 +- this
EDGE = (0.1, 0.5)  # opacities of a glyph that become 0 and 1: its soft edges would blur when enlarged

# Strokes in a unit square, (x, y) down the page; letters that resemble a digit (B, G, I, L, O, S, Z, ...) are left out.
LETTERS = {
    "A": (((0, 1), (0.5, 0), (1, 1)), ((0.2, 0.6), (0.8, 0.6))),
    "E": (((1, 0), (0, 0), (0, 1), (1, 1)), ((0, 0.5), (0.8, 0.5))),
    "F": (((1, 0), (0, 0), (0, 1)), ((0, 0.5), (0.8, 0.5))),
    "H": (((0, 0), (0, 1)), ((1, 0), (1, 1)), ((0, 0.5), (1, 0.5))),
    "K": (((0, 0), (0, 1)), ((1, 0), (0, 0.55), (1, 1))),
    "M": (((0, 1), (0.1, 0), (0.5, 0.7), (0.9, 0), (1, 1)),),
    "N": (((0, 1), (0, 0), (1, 1), (1, 0)),),
    "T": (((0, 0), (1, 0)), ((0.5, 0), (0.5, 1))),
    "V": (((0, 0), (0.5, 1), (1, 0)),),
    "W": (((0, 0), (0.25, 1), (0.5, 0.3), (0.75, 1), (1, 0)),),
    "X": (((0, 0), (1, 1)), ((1, 0), (0, 1))),
    "Y": (((0, 0), (0.5, 0.5), (1, 0)), ((0.5, 0.5), (0.5, 1))),
}


def warp(glyph: np.ndarray, height: float, rng: np.random.Generator) -> np.ndarray:
    """A glyph turned and sheared at random, whose ink was `height` pixels on its longer side before that.

    (28, 28) uint8 -> (h, w) float64 opacity in 0..1; ink is where it is at least 0.5.
    """
    angle, shear, wide = rng.uniform([-DEGREES, -SHEAR, 1 - ASPECT], [DEGREES, SHEAR, 1 + ASPECT])
    rows, columns = _extent(glyph >= 128)
    source = glyph[rows, columns] / 255.0
    scale = height / max(rows.stop - rows.start, columns.stop - columns.start)  # a slanted 1 is wider than tall
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    forward = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, 0], [shear, 1]]) @ np.diag([scale, scale * wide])
    shape = np.ceil(np.abs(forward) @ source.shape).astype(int) + 4
    places = np.moveaxis(np.indices(tuple(shape)), 0, -1) - (shape - 1) / 2  # (h, w, 2) from the middle
    smooth = _sample(source, places @ np.linalg.inv(forward).T + (np.array(source.shape) - 1) / 2)
    return np.clip((smooth - EDGE[0]) / (EDGE[1] - EDGE[0]), 0, 1)


def _sample(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Bilinear interpolation at places (..., 2) as row and column; 0 outside.  (H, W) -> (...)"""
    padded = np.pad(image, 2)
    places = np.clip(places + 2, 0, np.array(padded.shape) - 1.001)
    low = places.astype(int)
    y, x = np.moveaxis(places - low, -1, 0)
    row, column = np.moveaxis(low, -1, 0)
    above = padded[row, column] * (1 - x) + padded[row, column + 1] * x
    below = padded[row + 1, column] * (1 - x) + padded[row + 1, column + 1] * x
    return above * (1 - y) + below * y


def fragment(glyph: np.ndarray) -> np.ndarray:
    """The quarter of a glyph with the second most ink: at most half of it, and no digit.  (28, 28) -> (28, 28) uint8"""
    rows, columns = _extent(glyph >= 128)
    middle = (rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2
    cuts = [(slice(cut), slice(cut, None)) for cut in middle]
    quarters = sorted(itertools.product(*cuts), key=lambda quarter: int(glyph[quarter].sum()))
    piece = np.zeros_like(glyph)
    piece[quarters[-2]] = glyph[quarters[-2]]
    return piece


def letter(rng: np.random.Generator) -> np.ndarray:
    """A letter drawn by an unsteady hand.  -> (28, 28) uint8"""
    strokes = LETTERS[str(rng.choice(sorted(LETTERS)))]
    pixels = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1)  # (28, 28, 2) as x, y
    nearest = np.full((SIDE, SIDE), np.inf)
    for stroke in strokes:
        points = np.array(stroke) * [14, 18] + [7, 5] + rng.normal(0, 0.8, (len(stroke), 2))
        for start, end in itertools.pairwise(points):
            along = end - start
            share = np.clip((pixels - start) @ along / max(along @ along, 1e-9), 0, 1)
            away = np.linalg.norm(pixels - start - share[..., None] * along, axis=-1)
            nearest = np.minimum(nearest, away)
    return (255 * np.clip(2 - nearest, 0, 1)).astype(np.uint8)


def _extent(mask: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns that hold the True of a mask; all of them where there is none."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return slice(0, mask.shape[0]), slice(0, mask.shape[1])
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
