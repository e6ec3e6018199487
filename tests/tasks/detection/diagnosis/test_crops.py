"""Crops: the right window, and each mark in its colour."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ablab.errors import DataError
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.diagnosis.crops import SIDE, crop
from ablab.tasks.detection.diagnosis.suspicion import Suspect
from ablab.tasks.detection.panels import FOUND, MISSED
from ablab.tasks.detection.sheet import OTHER

LABEL, SEEN, BESIDE = (100.0, 60, 140, 100), (110.0, 60, 150, 100), (150.0, 110, 165, 125)


@pytest.fixture
def image(tmp_path: Path) -> Annotation:
    """200 x 160 pixels of black, with a labelled object and one beside it."""
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((160, 200, 3), np.uint8))
    none = np.zeros(2, bool)
    return Annotation("a", path, 200, 160, np.array([LABEL, BESIDE]), np.zeros(2, int), none, none)


def picture(suspect: Suspect, annotation: Annotation) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(crop(suspect, annotation))).convert("RGB"))


def has(pixels: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((pixels == colour).all(axis=2).any())


def test_both_boxes_and_what_stands_beside(image: Annotation) -> None:
    seen = picture(Suspect("place", 0.9, "a", "cell", LABEL, "cell", SEEN, 0.8, 0.6, 0, 0), image)
    assert seen.shape == (round(90 / 100 * SIDE), SIDE, 3)  # x 75 to 175, y 35 to 125: 25 pixels around 50 x 40
    assert all(has(seen, colour) for colour in (FOUND, MISSED, OTHER))
    zoom = SIDE / 100
    row = seen[round((62 - 35) * zoom)]  # below the upper edges, where dashes begin and plates may end
    column = round((149.5 - 75) * zoom)
    assert tuple(row[column].tolist()) == FOUND  # the right edge of the model's box


def test_a_label_that_nothing_answers_has_no_green(image: Annotation) -> None:
    seen = picture(Suspect("spurious", 0.9, "a", "cell", LABEL, None, None, None, 0.0, 0, -1), image)
    assert has(seen, MISSED)
    assert not has(seen, FOUND)


def test_a_missing_label_has_no_orange_and_stays_inside_the_image(image: Annotation) -> None:
    corner = (190.0, 150, 200, 160)
    seen = picture(Suspect("missing", 0.9, "a", None, None, "cell", corner, 0.8, 0.0, -1, 0), image)
    assert has(seen, FOUND)
    assert not has(seen, MISSED)
    assert seen.shape == (SIDE, SIDE, 3)  # x 174 to 200, y 134 to 160


def test_a_box_outside_its_image_still_gives_a_picture(image: Annotation) -> None:
    outside = (400.0, 300, 410, 310)
    assert picture(Suspect("missing", 0.9, "a", None, None, "cell", outside, 0.8, 0.0, -1, 0), image).size


def test_an_image_that_has_gone(image: Annotation) -> None:
    image.path.unlink()
    with pytest.raises(DataError, match=r"a\.png"):
        crop(Suspect("spurious", 0.9, "a", "cell", LABEL, None, None, None, 0.0, 0, -1), image)
