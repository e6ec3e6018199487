"""Which layout a path is in, and what is said where it is in none."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_files import as_json, picture, text
from voc_folder import clean

from ablab.errors import DataError
from ablab.tasks.detection.formats.layouts.recognise import read_layout, recognise

COCO = {
    "info": {"description": "x" * 1000},
    "images": [{"id": 1, "file_name": "x.jpg"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
    "categories": [{"id": 1, "name": "dog"}],
}
TABLE = "image,xmin,ymin,xmax,ymax,class\nx.jpg,1,2,4,6,dog\n"
YAML = "train: images\nval: images\nnames: [dog]\n"


def coco(root: Path, file: str = "annotations.json") -> None:
    picture(root / "x.jpg")
    as_json(root / file, COCO)


def yolo(root: Path, yaml: bool = True) -> None:
    picture(root / "images/x.jpg")
    text(root / "labels/x.txt", "0 0.0625 0.1333 0.075 0.1333")
    if yaml:
        text(root / "data.yaml", YAML)


def table(root: Path) -> None:
    picture(root / "x.jpg")
    text(root / "anything.csv", TABLE)


@pytest.mark.parametrize(
    ("make", "path", "kind"),
    [
        (clean, ".", "voc"),
        (coco, ".", "coco"),
        (coco, "annotations.json", "coco"),
        (lambda root: coco(root, "of any name.json"), ".", "coco"),
        (lambda root: coco(root, "annotations/instances_train2017.json"), ".", "coco"),
        (lambda root: coco(root, "annotations/instances_train2017.json"), "annotations", "coco"),
        (lambda root: coco(root, "train/_annotations.coco.json"), ".", "coco"),
        (yolo, ".", "yolo"),
        (yolo, "data.yaml", "yolo"),
        (lambda root: yolo(root, yaml=False), ".", "yolo"),
        (table, ".", "csv"),
        (table, "anything.csv", "csv"),
    ],
)
def test_every_layout_is_recognised_and_read(tmp_path: Path, make, path: str, kind: str) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path)
    (tmp_path / "README.md").touch()
    as_json(tmp_path / "package.json", {"name": "x", "images": 3})
    text(tmp_path / "hyp.yaml", "lr: 0.1\nmomentum: 0.9\n")
    text(tmp_path / "other.csv", "name,number\nx,1\n")
    assert recognise(tmp_path / path) == kind
    layout = read_layout(tmp_path / path)
    assert layout.kind == kind
    assert layout.root == tmp_path
    assert sum(len(a.boxes) for found in layout.splits.values() for a in found) >= 1


def test_a_folder_in_two_layouts_is_read_in_the_one_that_says_more(tmp_path: Path) -> None:
    yolo(tmp_path)
    coco(tmp_path)
    layout = read_layout(tmp_path)
    assert layout.kind == "coco"
    assert [(d.kind, d.where) for d in layout.defects] == [("two layouts", tmp_path.name)]
    assert read_layout(tmp_path / "data.yaml").kind == "yolo"


def test_of_coco_with_val_only_beside_yolo_the_labels_count(tmp_path: Path) -> None:
    """As Ultralytics unpacks COCO."""
    yolo(tmp_path)
    coco(tmp_path, "annotations/instances_val2017.json")
    assert recognise(tmp_path) == "yolo"


def test_a_broken_file_of_a_usual_name_is_still_said_to_be_broken(tmp_path: Path) -> None:
    text(tmp_path / "annotations" / "instances_train2017.json", '{"images": [')
    assert recognise(tmp_path) == "coco"
    with pytest.raises(DataError, match=r"instances_train2017\.json is not JSON"):
        read_layout(tmp_path)


def test_an_unknown_layout_is_told_what_was_looked_for_and_what_was_found(tmp_path: Path) -> None:
    picture(tmp_path / "photos" / "x.jpg")
    picture(tmp_path / "y.jpg")
    text(tmp_path / "notes.txt", "x")
    with pytest.raises(DataError) as error:
        read_layout(tmp_path)
    message = str(error.value)
    assert "it holds photos/, 1 .txt file, 1 image file. Expected one of VOC (JPEGImages" in message
    for word in ("COCO (annotations/instances", "YOLO (images/{train", "CSV (a CSV file", "'photo-digits'"):
        assert word in message


def test_the_nearest_thing_is_a_folder_inside(tmp_path: Path) -> None:
    yolo(tmp_path / "archive" / "coco8")
    with pytest.raises(DataError, match=r"it holds archive/; did you mean .*archive/coco8 \(YOLO\)\?"):
        read_layout(tmp_path)
    with pytest.raises(DataError, match=r"it holds archive/; did you mean .*archive/coco8 \(YOLO\)\?"):
        recognise(tmp_path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("anithing.csv", "did you mean 'anything.csv'?"),
        ("y" * 300, "it does not exist"),
        ("a\0b", "it does not exist"),
        ("x.jpg", "is a file of no layout that ablab knows; expected one of VOC"),
        ("empty", "it holds nothing. Expected one of VOC"),
    ],
)
def test_a_path_that_is_none_is_answered(tmp_path: Path, path: str, message: str) -> None:
    table(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as error:
        read_layout(tmp_path / path)
    assert message in str(error.value)


def test_bccd_is_recognised(bccd: Path) -> None:
    assert recognise(bccd) == "voc"
