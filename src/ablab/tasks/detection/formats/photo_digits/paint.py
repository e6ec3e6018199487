"""A layout as pixels: photographs below and on top, ink with a shadow between them, and a camera's faults over all."""

from __future__ import annotations

import cv2
import numpy as np

from ablab.tasks.detection.formats.photo_digits.layout import Layout, Shape

CONTRAST = 110.0  # least distance in luma, of 255, between ink and the mean around it
TINT = 60.0  # how far a channel of ink strays from its luma, +-, of 255
UNLIKE = 50.0  # difference in some channel, of 255, that tells two inks apart
SHADOW = 0.7  # share with a soft shadow, of shapes that are brighter than what is around
BLUR = 0.5  # share of blurred scenes
NOISE = (2.0, 8.0)  # standard deviation, of 255
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def paint(
    layout: Layout, size: int, photograph: np.ndarray, others: list[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Paint a scene on a crop of `photograph`; occluders are crops of `others`.  -> (size, size, 3) uint8 RGB"""
    canvas = _crop(photograph, (size, size), rng)
    used: list[np.ndarray] = []
    for shape in (*layout.clutter, *layout.digits):
        colour, brighter = _colour(canvas, shape, used, rng)
        used.append(colour)
        if brighter:  # dark ink would drown in its shadow
            _shadow(canvas, shape, rng)
        _blend(canvas, shape, colour, rng.uniform(0.8, 1))
    for shape in layout.occluders:
        other = others[rng.integers(len(others))]
        _shadow(canvas, shape, rng)
        _blend(canvas, shape, _crop(other, shape.opacity.shape, rng), 1)
    if rng.random() < BLUR:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 0.9))
    canvas += rng.uniform(*NOISE) * rng.standard_normal(canvas.shape, np.float32)
    return canvas.clip(0, 255).round().astype(np.uint8)


def _crop(photograph: np.ndarray, size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A random part of a photograph in other light.  (H, W, 3) uint8 -> (height, width, 3) float32"""
    height, width = size
    most = min(photograph.shape[0] / height, photograph.shape[1] / width)
    scale = np.exp(rng.uniform(np.log(min(1.0, most)), np.log(most)))
    tall, wide = (max(1, int(scale * side)) for side in (height, width))
    top = int(rng.integers(0, photograph.shape[0] - tall + 1))
    left = int(rng.integers(0, photograph.shape[1] - wide + 1))
    part = photograph[top : top + tall, left : left + wide]
    part = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        part = part[:, ::-1]
    light = rng.uniform(0.7, 1.15) * rng.uniform(0.85, 1.15, 3)
    return np.clip(part * light, 0, 255).astype(np.float32)


def _colour(
    canvas: np.ndarray, shape: Shape, used: list[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, bool]:
    """A random colour (3,) that stands out from what is around, more where that is restless; and if it is brighter.

    Where it can be, it is also unlike those already `used`, so that digits that touch are told apart.
    """
    around = canvas[shape.window(len(canvas))[0]] @ LUMA
    mean, spread = (float(around.mean()), float(around.std())) if around.size else (0.0, 0.0)
    farthest = max(mean, 255 - mean)
    distance = min(CONTRAST + spread / 2, farthest)
    darker, brighter = max(mean - distance, 0.0), max(255 - mean - distance, 0.0)  # lengths of what is left of luma
    place = rng.uniform(-darker, brighter, 16) if darker + brighter else np.full(16, 127.0 - mean)
    luma = np.where(place < 0, -place, 255 - place)
    tint = rng.uniform(-TINT, TINT, (16, 3))
    colours = (luma[:, None] + tint - (tint @ LUMA)[:, None]).clip(0, 255).astype(np.float32)
    unlike = np.min([np.abs(colours - other).max(1) for other in used], axis=0) if used else np.full(16, UNLIKE)
    colour = colours[(unlike >= UNLIKE).argmax() if (unlike >= UNLIKE).any() else unlike.argmax()]
    return colour, float(colour @ LUMA) > mean


def _shadow(canvas: np.ndarray, shape: Shape, rng: np.random.Generator) -> None:
    """Darken what lies beside a shape, for some shapes."""
    drawn, strength, angle, distance = rng.uniform([0, 0.2, 0, 0.03], [1, 0.5, 2 * np.pi, 0.1])
    if drawn >= SHADOW:
        return
    reach = max(2, round(distance * max(shape.opacity.shape)))
    soft = cv2.GaussianBlur(np.pad(shape.opacity, 2 * reach), (0, 0), reach / 2)
    x, y = (round(reach * turn(angle)) - 2 * reach for turn in (np.cos, np.sin))
    _blend(canvas, Shape(soft, shape.x + x, shape.y + y), np.zeros(3, np.float32), strength)


def _blend(canvas: np.ndarray, shape: Shape, value: np.ndarray, strength: float) -> None:
    """Lay a colour (3,) or pixels (h, w, 3) over the canvas, in place, as opaque as the shape says."""
    of_scene, of_shape = shape.window(len(canvas))
    opacity = (strength * shape.opacity[of_shape])[..., None].astype(np.float32)
    canvas[of_scene] += opacity * ((value if value.ndim == 1 else value[of_shape]) - canvas[of_scene])
