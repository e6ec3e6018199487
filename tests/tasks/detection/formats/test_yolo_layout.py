"""Data sets in YOLO layout: boxes by hand, every arrangement of folders, YAML of every kind, and damage."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_files import HEIGHT, WIDTH, boxes_of, kinds, picture, text

from ablab.errors import DataError
from ablab.tasks.detection.formats.defect import sentences
from ablab.tasks.detection.formats.layouts.yolo import read_yolo

LABEL = "1 0.5 0.5 0.25 0.2\n"  # of 40 x 30: x 15 to 25, y 12 to 18
BOX = [15, 12, 25, 18]


def folder(root: Path, label: str = LABEL, yaml: str = "names: [cat, dog]\n") -> Path:
    """One image in train and val each, with a YAML file."""
    for split in ("train", "val"):
        picture(root / f"images/{split}/{split}.png")
        text(root / f"labels/{split}/{split}.txt", LABEL if split == "val" else label)
    text(root / "data.yaml", f"train: images/train\nval: images/val\n{yaml}")
    return root


def test_boxes_are_those_computed_by_hand(tmp_path: Path) -> None:
    label = "1 0.5 0.5 0.25 0.2\r\n\n0 0.1 0.2 0.2 0.4\n1.0 0.9 0.9 0.2 0.2"
    layout = read_yolo(folder(tmp_path, label))
    assert (layout.kind, layout.classes, layout.defects) == ("yolo", ("cat", "dog"), ())
    (annotation,) = layout.splits["train"]
    np.testing.assert_allclose(annotation.boxes, [BOX, [0, 0, 8, 12], [32, 24, 40, 30]], atol=1e-12)
    assert annotation.labels.tolist() == [1, 0, 1]
    assert (annotation.width, annotation.height, annotation.area) == (WIDTH, HEIGHT, None)


@given(
    st.lists(
        st.tuples(st.floats(0, 30), st.floats(0, 20), st.floats(0.5, 10), st.floats(0.5, 10)), min_size=1, max_size=5
    ),
    st.integers(4, 17),
)
def test_what_any_tool_writes_comes_back(
    tmp_path_factory: pytest.TempPathFactory, boxes: list[tuple[float, float, float, float]], places: int
) -> None:
    """Whatever number of decimals it rounds to."""
    shares = [((x + w / 2) / WIDTH, (y + h / 2) / HEIGHT, w / WIDTH, h / HEIGHT) for x, y, w, h in boxes]
    lines = [" ".join(["0", *(f"{share:.{places}f}" for share in row)]) for row in shares]
    root = tmp_path_factory.getbasetemp() / "any-yolo"
    folder(root, "\n".join(lines))
    layout = read_yolo(root)
    assert layout.defects == ()
    expected = [(x, y, x + w, y + h) for x, y, w, h in boxes]
    np.testing.assert_allclose(layout.splits["train"][0].boxes, expected, atol=WIDTH * 10.0**-places + 1e-9)


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/{0}/x.jpg", "labels/{0}/x.txt"),
        ("images/{0}2017/x.jpg", "labels/{0}2017/x.txt"),
        ("{0}/images/x.jpg", "{0}/labels/x.txt"),
        ("{0}/x.jpg", "{0}/x.txt"),
        ("images/{0}/a/x.JPEG", "labels/{0}/a/x.txt"),
    ],
)
def test_every_arrangement_of_splits(tmp_path: Path, image: str, label: str) -> None:
    for split, side in (("train", 40), ("valid", 50), ("test", 60)):
        picture(tmp_path / image.format(split), width=side)
        text(tmp_path / label.format(split), LABEL)
    text(tmp_path / "classes.txt", "cat\ndog\n\n")
    layout = read_yolo(tmp_path)
    assert layout.defects == ()
    assert layout.classes == ("cat", "dog")
    assert {split: [(a.width, len(a.boxes)) for a in found] for split, found in layout.splits.items()} == {
        "train": [(40, 1)],
        "validation": [(50, 1)],
        "test": [(60, 1)],
    }


@pytest.mark.parametrize(
    ("image", "label"), [("images/x.jpg", "labels/x.txt"), ("x.jpg", "x.txt"), ("images/x.jpg", "images/x.txt")]
)
def test_without_splits_there_is_all(tmp_path: Path, image: str, label: str) -> None:
    picture(tmp_path / image)
    text(tmp_path / label, LABEL)
    text(tmp_path / "obj.names", "cat\ndog\n")
    assert boxes_of(read_yolo(tmp_path), "all") == {"x": [("dog", BOX)]}


def test_lists_of_images_beside_the_folders(tmp_path: Path) -> None:
    for name in "abc":
        picture(tmp_path / f"images/{name}.png")
        text(tmp_path / f"labels/{name}.txt", LABEL)
    text(tmp_path / "train2017.txt", "./images/b.png\n./images/a.png\n\n./images/b.png\n")
    text(tmp_path / "val2017.txt", "images/c.png\n")
    layout = read_yolo(tmp_path)
    assert [a.id for a in layout.splits["train"]] == ["b", "a"]
    assert [a.id for a in layout.splits["validation"]] == ["c"]
    assert ("duplicate id", "b") in kinds(layout)


YAMLS = {
    "folders": "train: images/train\nval: images/val\nnames: [cat, dog]",
    "a mapping of names": "train: images/train\nval: images/val\nnames: {0: cat, 1: dog}",
    "names with texts as keys": "train: images/train\nval: images/val\nnames: {'1': dog, '0': cat}",
    "a list of folders": "train: [images/train]\nval: [images/val]\nnames: [cat, dog]",
    "roboflow": "train: ../images/train\nval: ../images/val\nnc: 2\nnames: ['cat', 'dog']",
    "an own path": "path: .\ntrain: images/train\nval: images/val\ntest:\nnames: [cat, dog]",
    "a path that is elsewhere": "path: ../datasets/x\ntrain: images/train\nval: images/val\nnames: [cat, dog]",
    "lists": "train: train.txt\nval: val.txt\nnames: [cat, dog]",
    "a mark and windows line ends": "\ufefftrain: images/train\r\nval: images/val\r\nnames: [cat, dog]\r\n",
    "other keys": "train: images/train\nval: images/val\nnames: [cat, dog]\ndownload: x\nroboflow: {version: 1}",
}


@pytest.mark.parametrize("yaml", YAMLS.values(), ids=YAMLS.keys())
def test_every_way_to_describe_it(tmp_path: Path, yaml: str) -> None:
    folder(tmp_path)
    text(tmp_path / "train.txt", "./images/train/train.png")
    text(tmp_path / "val.txt", "images/val/val.png\n")
    text(tmp_path / "data.yaml", yaml)
    for path in (tmp_path, tmp_path / "data.yaml"):
        layout = read_yolo(path)
        assert layout.classes == ("cat", "dog")
        assert boxes_of(layout, "train") == {"train": [("dog", BOX)]}
        assert boxes_of(layout, "validation") == {"val": [("dog", BOX)]}


def test_the_path_is_relative_to_the_yaml_file(tmp_path: Path) -> None:
    folder(tmp_path / "data set")
    text(tmp_path / "configs/x.yaml", "path: ../data set\ntrain: images/train\nval: images/val\nnames: [cat, dog]")
    layout = read_yolo(tmp_path / "configs/x.yaml")
    assert boxes_of(layout, "train") == {"train": [("dog", BOX)]}


def test_coco128_trains_and_validates_on_the_same_images(tmp_path: Path) -> None:
    for name in ("1", "2"):
        picture(tmp_path / f"images/train2017/{name}.jpg")
        text(tmp_path / f"labels/train2017/{name}.txt", LABEL)
    text(tmp_path / "coco128.yaml", "train: images/train2017\nval: images/train2017\nnames: {0: a, 1: b}")
    layout = read_yolo(tmp_path)
    assert kinds(layout) == [("id in two splits", "1"), ("id in two splits", "2")]
    assert [a.id for a in layout.splits["train"]] == [a.id for a in layout.splits["validation"]] == ["1", "2"]


def test_equal_names_in_two_folders_are_two_images(tmp_path: Path) -> None:
    for split in ("train", "val"):
        picture(tmp_path / f"images/{split}/0001.png", width=40 if split == "train" else 50)
        text(tmp_path / f"labels/{split}/0001.txt", LABEL)
    layout = read_yolo(tmp_path)
    assert [a.id for a in layout.splits["train"]] == ["images/train/0001"]
    assert [a.id for a in layout.splits["validation"]] == ["images/val/0001"]
    assert kinds(layout) == [("no class names", tmp_path.name)]


def test_without_names_classes_are_numbered(tmp_path: Path) -> None:
    layout = read_yolo(folder(tmp_path, yaml=""))
    assert layout.classes == ("class 0", "class 1")
    assert read_yolo(folder(tmp_path, yaml="nc: 4")).classes == ("class 0", "class 1", "class 2", "class 3")
    assert sentences(layout.defects) == (
        f"1 data set without class names: its classes are 'class 0' and so on: {tmp_path.name}",
    )


def test_gaps_and_twins_among_the_names(tmp_path: Path) -> None:
    layout = read_yolo(folder(tmp_path, yaml="names: {0: cat, 1: cat, 3: 5}\nnc: 7"))
    assert layout.classes == ("cat (0)", "cat (1)", "class 2", "5")
    assert [(d.kind, d.detail) for d in layout.defects] == [("class count differs", "nc is 7, but 4 names are given")]


def test_an_outline_becomes_its_box(tmp_path: Path) -> None:
    outline = "0 0.25 0.2 0.75 0.1 0.5 0.6\n" * 2 + "1 0.5 0.5 0.2 0.2\n"
    layout = read_yolo(folder(tmp_path, outline))
    np.testing.assert_allclose(layout.splits["train"][0].boxes[0], [10, 3, 30, 18])
    assert [(d.kind, d.detail) for d in layout.defects] == [("outlines", "2 outlines became their bounding boxes")]


def test_an_empty_file_is_an_image_without_objects_and_no_file_is_named(tmp_path: Path) -> None:
    folder(tmp_path, label="")
    picture(tmp_path / "images/train/bare.png")
    layout = read_yolo(tmp_path)
    assert {a.id: len(a.boxes) for a in layout.splits["train"]} == {"bare": 0, "train": 0}
    assert kinds(layout) == [("image without label file", "bare")]
    assert sentences(layout.defects) == ("1 image without a label file counts as one without objects: bare",)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("2 0.5 0.5 0.1 0.1", "unknown class"),
        ("-1 0.5 0.5 0.1 0.1", "unknown class"),
        ("0.5 0.5 0.5 0.1 0.1", "broken object"),
        ("0 0.5 0.5 0.1", "broken object"),
        ("0 0.5 0.5 0.1 0.1 0.9", "broken object"),
        ("0 0.5 0.5 0.1 nan", "broken object"),
        ("inf 0.5 0.5 0.1 0.1", "broken object"),
        ("dog 0.5 0.5 0.1 0.1", "broken object"),
        ("0,0.5,0.5,0.1,0.1", "broken object"),
        ("0 0.5 0.5 0 0.1", "box without area"),
        ("0 0.5 0.5 -0.1 0.1", "inverted box"),
        ("0 1.3 0.5 0.1 0.1", "box outside"),
        ("0 0.95 0.5 0.3 0.1", "box partly outside"),
    ],
)
def test_what_is_wrong_with_one_line_is_a_defect(tmp_path: Path, line: str, kind: str) -> None:
    layout = read_yolo(folder(tmp_path, f"{LABEL}{line}\n"))
    assert kinds(layout) == [(kind, "train")]
    cut = kind == "box partly outside"
    assert len(layout.splits["train"][0].boxes) == 1 + cut
    assert layout.splits["train"][0].boxes[0].tolist() == BOX


@pytest.mark.parametrize(
    ("rows", "unit"),
    [
        (["0 20 10 38 28", "0 1 2 30 12"], "pixels (x1 y1 x2 y2)"),
        (["0 30 20 10 12", "0 20 15 40 30"], "pixels (centre, width, height)"),
        (["0 25 20 10 8", "0 0 0 30 20"], "pixels (left, top, width, height)"),
        (["0 50 50 90 60", "0 75 60 30 20"], "percent (centre, width, height)"),
    ],
)
def test_the_unit_is_guessed_and_named(tmp_path: Path, rows: list[str], unit: str) -> None:
    layout = read_yolo(folder(tmp_path, "\n".join([*rows, LABEL])))
    assert kinds(layout) == [("wrong units", "train")] * 2
    assert all(defect.detail.endswith(f": it looks like {unit}") for defect in layout.defects)
    assert boxes_of(layout, "train") == {"train": [("dog", BOX)]}


def test_attributes_beside_the_labels(tmp_path: Path) -> None:
    folder(tmp_path, LABEL * 3)
    text(
        tmp_path / "attributes.csv",
        "split,image,object,difficult,crowd,area,group\n"
        "train,train,0,1,0,,\ntrain,train,2,0,1,12.5,\ntrain,train,9,1,1,,\n"
        "train,train,,,,,slide 7\nvalidation,val,0,1,0,,\n",
    )
    layout = read_yolo(tmp_path)
    (first,) = layout.splits["train"]
    assert first.difficult.tolist() == [True, False, False]
    assert first.crowd.tolist() == [False, False, True]
    assert first.area is not None
    assert first.area.tolist() == [60, 60, 12.5]
    assert first.group == "slide 7"
    assert layout.splits["validation"][0].difficult.tolist() == [True]
    text(tmp_path / "attributes.csv", "split,image,object,difficult,crowd,area\ntrain,train,0,maybe,0,\n")
    with pytest.raises(DataError, match=r"attributes\.csv, line 2: .*difficult and crowd as 0 or 1"):
        read_yolo(tmp_path)


def test_a_label_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "labels/train/train.txt").write_bytes(b"\xff\xfe0 1")
    assert kinds(read_yolo(tmp_path)) == [("broken annotation", "train")]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("", "expected a mapping"),
        ("train", "expected a mapping"),
        ("names: [cat]", "expected the keys train and val"),
        ("train: [", "is not valid YAML"),
        ("train: &a [*a]", "is not valid YAML"),
        ("train: {a: b}", "'train' should be a folder"),
        ("train: 5", "'train' should be a folder"),
        ("train: images/train\ntraining: images/train", "the train split is named twice"),
        ("train: images/train\ntrain: images/val", "the key 'train' is written twice"),
        ("train: data.yaml", "neither a folder, nor a list of images"),
        ("train: images/train\nnames: 5", "'names' should be a list, or a mapping"),
        ("train: images/train\nnames: {cat: 0}", "'names' should be a list, or a mapping"),
        ("train: images/train\nnames: {-1: cat}", "'names' should count from 0"),
        ("train: images/train\nnames: {999999999: cat}", "'names' should count from 0"),
        ("train: images/train\nnc: many", "'nc' should be the number of classes"),
        ("train: images/train\npath: [a]", "'path' should be a folder"),
        ("? [a]\n: b", "is not valid YAML"),
        ("train: 2001-99-99", "is not valid YAML"),
        ("[" * 1500, "is not valid YAML"),
        ("train: !!python/object/apply:os.system [ls]", "is not valid YAML"),
        (BOMB + "train: images/train\nnames: *i", "'names' holds a list"),
        (BOMB + "train: *i", "'train' should be a folder"),
        ("#" * 1_000_001, "larger than"),
    ],
)
def test_a_yaml_file_that_makes_no_sense_is_refused_by_name(tmp_path: Path, yaml: str, words: str) -> None:
    folder(tmp_path)
    text(tmp_path / "data.yaml", yaml)
    with pytest.raises(DataError, match=words) as error:
        read_yolo(tmp_path / "data.yaml")
    assert "data.yaml" in str(error.value)
    assert len(str(error.value)) < 2000


def test_a_split_that_is_not_there_is_a_defect(tmp_path: Path) -> None:
    folder(tmp_path)
    text(tmp_path / "data.yaml", "train: images/train\nval: images/val\ntest: images/tset\nnames: [cat, dog]")
    layout = read_yolo(tmp_path)
    assert [(d.kind, d.where, d.detail) for d in layout.defects] == [
        ("missing list", "images/tset", "the test split is images/tset in data.yaml, and nothing is there")
    ]


def test_folders_that_lead_round_in_a_circle_end(tmp_path: Path) -> None:
    folder(tmp_path)
    os.symlink(tmp_path / "images", tmp_path / "images" / "train" / "again")
    os.symlink("round", tmp_path / "images" / "train" / "round")
    assert [a.id for a in read_yolo(tmp_path).splits["train"]] == ["train"]


def test_a_listed_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    folder(tmp_path)
    text(tmp_path / "list.txt", "images/train/train.png\nimages/train/gone.png\nlist.txt\n")
    text(tmp_path / "data.yaml", "train: list.txt\nval: images/val\nnames: [cat, dog]")
    layout = read_yolo(tmp_path)
    assert kinds(layout) == [("missing image", "gone"), ("unreadable image", "list.txt")]
    assert [a.id for a in layout.splits["train"]] == ["train"]


@given(st.binary(max_size=80) | st.text("0123456789. -e\nnaif", max_size=80).map(str.encode))
def test_any_label_file_gives_boxes_inside_the_image(tmp_path_factory: pytest.TempPathFactory, label: bytes) -> None:
    root = tmp_path_factory.getbasetemp() / "any-label"
    if not root.is_dir():
        folder(root)
    (root / "labels/train/train.txt").write_bytes(label)
    for annotation in read_yolo(root).splits["train"]:
        assert ((annotation.boxes >= 0) & (annotation.boxes <= [WIDTH, HEIGHT, WIDTH, HEIGHT])).all()
        assert (annotation.boxes[:, 2:] > annotation.boxes[:, :2]).all()
