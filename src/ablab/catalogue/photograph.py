"""One photograph, what is in it, and what a network's first layer might make of it.

`coffee.png` comes with scikit-image (CC0, Rachel Michetti), 600 x 400 pixels.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ablab.errors import DataError

NAMES = ("saucer", "cup", "spoon")
BOXES = np.array([[76, 66, 481, 388], [172, 18, 410, 308], [325, 66, 425, 327]], np.float64)  # x1 y1 x2 y2
SQUARE = (80, 0, 480, 400)  # the part that features are taken from


@cache
def photograph() -> np.ndarray:
    """The photograph.  -> (400, 600, 3) uint8 RGB; raises DataError where scikit-image lacks it."""
    spec = importlib.util.find_spec("skimage")
    for folder in (spec.submodule_search_locations if spec else None) or []:
        image = cv2.imread(str(Path(folder) / "data" / "coffee.png"))
        if image is not None:
            return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    raise DataError("pictures of parts want data/coffee.png of scikit-image; reinstall with `pip install scikit-image`")


def square(side: int) -> np.ndarray:
    """The middle of the photograph.  -> (side, side, 3) uint8"""
    x1, y1, x2, y2 = SQUARE
    return cv2.resize(photograph()[y1:y2, x1:x2], (side, side), interpolation=cv2.INTER_AREA)


def features(side: int = 96) -> Tensor:
    """Edges, bars and blobs of light and of colour, each with mean 0 and deviation 1.  -> (1, 64, side, side)

    A bank of Gabor filters and differences of Gaussians, which the first layer of a trained network resembles.
    """
    red, green, blue = np.moveaxis(square(side).astype(np.float32) / 255, 2, 0)
    light, warm, cold = (red + green + blue) / 3, red - green, blue - (red + green) / 2
    angles = np.arange(8) * np.pi / 8
    found = [
        cv2.filter2D(light, -1, _gabor(angle, wave, phase), borderType=cv2.BORDER_REFLECT)
        for wave in (5.0, 10.0)
        for phase in (0.0, np.pi / 2)
        for angle in angles
    ]
    found += [
        cv2.filter2D(colour, -1, _gabor(angle, wave, np.pi / 2), borderType=cv2.BORDER_REFLECT)
        for colour in (warm, cold)
        for wave in (5.0, 10.0)
        for angle in angles[::2]
    ]
    for plane in (light, warm, cold, red):
        rings = [cv2.GaussianBlur(plane, (0, 0), sigma) for sigma in (1.0, 2.0, 4.0)]
        found += [rings[0] - rings[1], rings[1] - rings[2], rings[0], -rings[2]]
    maps = np.stack(found)
    maps = (maps - maps.mean(axis=(1, 2), keepdims=True)) / maps.std(axis=(1, 2), keepdims=True)
    return torch.from_numpy(maps).float()[None]


def _gabor(angle: float, wave: float, phase: float) -> np.ndarray:
    kernel = cv2.getGaborKernel((15, 15), 0.4 * wave, angle, wave, 1.0, phase, cv2.CV_32F)
    return kernel - kernel.mean()
