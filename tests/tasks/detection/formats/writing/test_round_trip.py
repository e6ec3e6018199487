"""Written and read again, a data set is the same, in every layout and over every chain of two."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from made_layouts import layouts, meaning, place

from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.layouts.recognise import read_layout
from ablab.tasks.detection.formats.writing import WRITERS, put_by

KINDS = tuple(WRITERS)
EVERY = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def written(layout: Layout, folder: Path, kind: str) -> Layout:
    folder.mkdir()
    WRITERS[kind](layout, folder, put_by(link=True))
    return read_layout(folder)


def equal(one: Layout, other: Layout, digits: int = 9) -> None:
    """Rounded to `digits`, but for the few numbers that stand where rounding goes either way."""
    a, b = meaning(one, digits), meaning(other, digits)
    if a != b:
        for split, images in one.splits.items():
            found = {image.id: image for image in other.splits[split]}
            for image in images:
                np.testing.assert_allclose(image.boxes, found[image.id].boxes, rtol=0, atol=1e-9)
        a, b = meaning(one, 7), meaning(other, 7)
    assert a == b


@pytest.mark.parametrize("kind", KINDS)
@EVERY
@given(layouts())
def test_a_layout_is_read_as_it_was_written(kind: str, layout: Layout) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = place(layout, Path(folder, "source"))
        back = written(source, Path(folder, "out"), kind)
        assert back.kind == kind
        assert back.defects == () or {d.kind for d in back.defects} <= {"missing list", "image without label file"}
        if kind in ("yolo", "coco"):
            equal(source, back)
        else:
            assert meaning(source, 17) == meaning(back, 17)


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
@settings(EVERY, max_examples=4)
@given(layouts())
def test_over_two_layouts_nothing_is_lost(first: str, second: str, layout: Layout) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = place(layout, Path(folder, "source"))
        once = written(source, Path(folder, "once"), first)
        equal(source, written(once, Path(folder, "twice"), second))


@EVERY
@given(layouts())
def test_cocos_own_tool_reads_the_same_boxes(layout: Layout) -> None:
    from pycocotools.coco import COCO

    with tempfile.TemporaryDirectory() as folder:
        source = place(layout, Path(folder, "source"))
        written(source, Path(folder, "out"), "coco")
        ids: list[int] = []
        for split, images in source.splits.items():
            name = {"train": "_train", "validation": "_val", "test": "_test", "all": ""}[split]
            file = Path(folder, "out", "annotations", f"instances{name}.json")
            assert file.exists() == bool(images)
            if not images:
                continue
            with contextlib.redirect_stdout(io.StringIO()):
                coco = COCO(str(file))
            assert [c["name"] for c in coco.loadCats(sorted(coco.getCatIds()))] == list(source.classes)
            ids += coco.getAnnIds()
            found = {entry["file_name"]: number for number, entry in coco.imgs.items()}
            for image in images:
                entries = coco.loadAnns(coco.getAnnIds(found[f"{image.id}{image.path.suffix}"]))
                boxes = np.array([entry["bbox"] for entry in entries], np.float64).reshape(-1, 4)
                assert np.array_equal(boxes[:, :2], image.boxes[:, :2])
                assert np.array_equal(boxes[:, 2:], image.boxes[:, 2:] - image.boxes[:, :2])
                assert [entry["iscrowd"] for entry in entries] == image.crowd.tolist()
                assert [entry["category_id"] - 1 for entry in entries] == image.labels.tolist()
        assert len(ids) == len(set(ids))
