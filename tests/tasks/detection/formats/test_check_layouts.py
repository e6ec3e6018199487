"""`check` over COCO and YOLO layouts: strays, classes and splits where the layout itself declares them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ablab.tasks.detection.formats.check import check
from ablab.tasks.detection.formats.layouts.recognise import read_layout

SIZE = (40, 30)
SPLITS = {"train": "train", "val": "validation", "test": "test"}


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def yolo(root: Path, splits: Sequence[str] = ("train", "val", "test"), names: Sequence[str] = ("dog", "cat")) -> Path:
    for order, split in enumerate(splits):
        (root / "labels" / split).mkdir(parents=True)
        for number in range(10):
            picture(root / f"images/{split}/{split}{number}.png", 10 * order + number)
            (root / f"labels/{split}/{split}{number}.txt").write_text("0 0.3 0.3 0.2 0.3\n1 0.7 0.6 0.3 0.3\n")
    lines = [f"{split}: images/{split}\n" for split in splits]
    (root / "data.yaml").write_text(f"path: .\n{''.join(lines)}names: {json.dumps(list(names))}\n")
    return root


def coco(root: Path) -> Path:
    for order, split in enumerate(("train", "val")):
        images = [{"id": i, "file_name": f"{split}{i}.png", "width": 40, "height": 30} for i in range(10)]
        for image in images:
            picture(root / split / image["file_name"], 10 * order + image["id"])
        objects = [(image, k, category) for image in range(10) for k, category in enumerate((1, 7))]
        document = {
            "images": images,
            "categories": [{"id": 1, "name": "dog"}, {"id": 7, "name": "cat"}],
            "annotations": [
                {"id": number, "image_id": image, "category_id": category, "bbox": [4 + 10 * k, 5, 9, 9]}
                for number, (image, k, category) in enumerate(objects)
            ],
        }
        (root / "annotations").mkdir(exist_ok=True)
        (root / f"annotations/instances_{split}.json").write_text(json.dumps(document))
    return root


def found(root: Path) -> list[tuple[str, str]]:
    return [(defect.kind, defect.where) for defect in check(read_layout(root))]


def test_sound_ones_have_none(tmp_path: Path) -> None:
    assert found(yolo(tmp_path / "yolo")) == []
    assert found(coco(tmp_path / "coco")) == [("no test split", "test")]


def test_strays_of_yolo(tmp_path: Path) -> None:
    root = yolo(tmp_path)
    (root / "images/val/val3.png").unlink()
    assert [each for each in found(root) if "few" not in each[0]] == [
        ("annotation without image", "labels/val/val3.txt")
    ]


def test_images_that_yolos_lists_leave_out(tmp_path: Path) -> None:
    root = yolo(tmp_path)
    for split in ("train", "val", "test"):
        names = [f"./images/{split}/{split}{number}.png" for number in range(10)]
        (root / f"{split}.txt").write_text("\n".join(name for name in names if name != "./images/val/val3.png"))
    (root / "data.yaml").write_text("path: .\ntrain: train.txt\nval: val.txt\ntest: test.txt\nnames: [dog, cat]\n")
    assert [each for each in found(root) if "few" not in each[0]] == [("image in no split", "images/val/val3.png")]


def test_images_that_cocos_file_does_not_mention(tmp_path: Path) -> None:
    root = coco(tmp_path)
    picture(root / "val/more.png", 99)
    assert ("image without annotation", "val/more.png") in found(root)
    assert len(found(root)) == 2


def test_a_class_without_boxes_is_named_once(tmp_path: Path) -> None:
    assert found(yolo(tmp_path, names=("dog", "cat", "cow"))) == [("class without boxes", "cow")]


def test_few_boxes_and_none(tmp_path: Path) -> None:
    root = yolo(tmp_path)
    for number in range(10):
        (root / f"labels/val/val{number}.txt").write_text("0 0.3 0.3 0.2 0.3\n")
        if number:
            (root / f"labels/test/test{number}.txt").write_text("1 0.7 0.6 0.3 0.3\n")
    details = {(d.kind, d.where): d.detail for d in check(read_layout(root))}
    assert details == {
        ("class missing from a split", "cat"): "validation has no box of it; train 10, test 10",
        ("class with few boxes", "dog"): "test has 1 box of it; train 10, validation 10",
    }


def test_without_splits_nothing_is_missing_from_one(tmp_path: Path) -> None:
    root = coco(tmp_path)
    assert found(root / "annotations/instances_val.json") == []


def test_a_name_that_two_folders_share_is_two_images(tmp_path: Path) -> None:
    """images/train/0.png and images/val/0.png: neither is taken for the other."""
    root = yolo(tmp_path)
    for split in ("train", "val", "test"):
        (root / f"images/{split}/{split}0.png").rename(root / f"images/{split}/0.png")
        (root / f"labels/{split}/{split}0.txt").rename(root / f"labels/{split}/0.txt")
    assert found(root) == []
    (root / "images/val/0.png").write_bytes((root / "images/train/0.png").read_bytes())
    assert [kind for kind, _ in found(root)] == ["same image in two splits"]
