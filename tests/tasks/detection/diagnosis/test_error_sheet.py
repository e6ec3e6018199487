import io

import cv2
import numpy as np
import pytest
from PIL import Image

from ablab.tasks.detection.boxes import Annotation, Detections, Truth
from ablab.tasks.detection.diagnosis.errors import KINDS, find_errors
from ablab.tasks.detection.diagnosis.sheet import SIDE, error_sheets
from ablab.tasks.detection.metrics.meter import DetectionMeter
from ablab.tasks.detection.panels import FOUND, MISSED, WRONG
from ablab.tasks.detection.sheet import OTHER

A, B = (40, 40, 80, 80), (200, 150, 260, 200)
NEAR, CROSS = (40, 40, 80, 78), (60, 40, 100, 80)  # IoU 0.95 and 1/3 with A
AWAY = (300, 20, 330, 50)
FOUNDS = {  # a: each kind of wrong detection beside what is right; b and c: only misses, of which b's is the larger
    "a": [(0, 0.9, A), (0, 0.8, NEAR), (1, 0.7, NEAR), (0, 0.6, CROSS), (1, 0.5, CROSS), (1, 0.4, AWAY), (1, 0.3, B)],
    "b": [],
    "c": [(1, 0.9, B)],
}


@pytest.fixture
def seen(tmp_path):
    meter, annotations, none = DetectionMeter(("ring", "nut")), {}, np.zeros(2, bool)
    boxes, labels = np.array([A, B], float), np.array([0, 1])
    for name, rows in FOUNDS.items():
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), np.full((240, 360, 3), 255, np.uint8))
        annotations[name] = Annotation(name, path, 360, 240, boxes, labels, none, none)
        found = np.array([box for *_, box in rows], float).reshape(-1, 4)
        said = Detections(found, np.array([r[1] for r in rows], float), np.array([r[0] for r in rows], int))
        meter.update([said], [Truth.of(annotations[name])])
    return meter.items(), annotations


def pixels(panel):
    return np.asarray(Image.open(io.BytesIO(panel.png)).convert("RGB")).astype(int)


def has(picture, colour):
    """To within two levels of 255: a sheet has a palette."""
    return bool((abs(picture - np.array(colour)) <= 2).all(axis=-1).any())


def test_a_sheet_for_each_kind_that_occurs(seen):
    items, annotations = seen
    errors = find_errors(items)
    sheets = {panel.title: panel for panel in error_sheets(items, errors, annotations)}
    assert list(sheets) == [KINDS[kind] for kind in sorted(set(errors.kind.tolist()))]
    assert {"classification", "localisation", "duplicate", "background", "missed"} <= set(sheets)
    assert sheets["background"].caption == "Background: where no object is. The surest of 1, one an image."
    assert sheets["missed"].caption.endswith("The largest of 3, one an image.")
    for title, colours in {
        "duplicate": [WRONG, FOUND, MISSED],
        "classification": [WRONG, MISSED],
        "background": [WRONG],
        "missed": [MISSED],
    }.items():
        picture = pixels(sheets[title])
        assert all(has(picture, colour) for colour in colours), title
    assert not has(pixels(sheets["missed"]), WRONG)
    assert not has(pixels(sheets["background"]), FOUND)


def test_an_image_comes_once_and_the_largest_miss_first(seen, monkeypatch):
    items, annotations = seen
    tiles = []
    draw = "ablab.tasks.detection.diagnosis.sheet.contact_sheet"
    monkeypatch.setattr(draw, lambda title, note, made, classes: tiles.append(made) or np.zeros((4, 4, 3), np.uint8))
    errors = find_errors(items)
    error_sheets(items, errors, annotations)
    assert [tile.caption for tile in tiles[-1]] == ["b", "c"]  # b misses both: its larger one; c misses the smaller
    tiles.clear()
    error_sheets(items, errors, annotations, most=1)
    assert [tile.caption for tile in tiles[-1]] == ["b"]
    tiles.clear()
    error_sheets(items, errors, {"c": annotations["c"]})
    assert [[tile.caption for tile in made] for made in tiles] == [["c"]]


def test_the_window_holds_what_it_shows_and_its_surroundings(seen, monkeypatch):
    items, annotations = seen
    kept = []
    draw = "ablab.tasks.detection.diagnosis.sheet.contact_sheet"
    monkeypatch.setattr(draw, lambda title, note, made, classes: kept.append(made[0]) or np.zeros((4, 4, 3), np.uint8))
    error_sheets(items, find_errors(items), annotations)
    picture = kept[-1].image()  # b's miss: 60 by 50 at 200, 150 of an image of 360 by 240
    assert picture.shape == (SIDE, SIDE, 3)
    rows, columns = np.nonzero((picture == np.array(MISSED)).all(axis=-1))
    zoom = SIDE / 180  # three times the longer side
    assert columns.min() == pytest.approx((200 - 140) * zoom, abs=3)
    assert rows.max() == pytest.approx(
        (200 - 60) * zoom, abs=3
    )  # the name stands above; the window ends at the image's lower border
    assert not has(picture, OTHER)  # A is left of the window
    small = kept[0].image()  # a's window about A, of least size: 120 by 120
    assert small.shape == (SIDE, SIDE, 3)


def test_an_image_that_cannot_be_read_says_so(seen):
    items, annotations = seen
    annotations["b"].path.unlink()
    assert error_sheets(items, find_errors(items), annotations)[-1].title == "missed"


def test_no_errors_no_sheets(seen):
    items, annotations = seen
    errors = find_errors(items, 1.1)
    assert [panel.title for panel in error_sheets(items, errors, annotations)] == ["missed"]
    assert error_sheets(items, find_errors(items), {}) == ()
