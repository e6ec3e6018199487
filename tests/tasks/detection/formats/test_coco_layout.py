"""Data sets in COCO layout: against pycocotools, in every arrangement of files, and with every kind of damage."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_edit import changed
from pycocotools.coco import COCO
from small_files import HEIGHT, WIDTH, as_json, boxes_of, kinds, picture, text

from ablab.errors import DataError
from ablab.tasks.detection.boxes import Truth
from ablab.tasks.detection.formats.layouts.coco import read_coco

INSTANCES: dict[str, Any] = {
    "images": [
        {"id": 7, "file_name": "b.png", "width": WIDTH, "height": HEIGHT},
        {"id": 3, "file_name": "a.png", "width": WIDTH, "height": HEIGHT},
        {"id": 9, "file_name": "none.png", "width": WIDTH, "height": HEIGHT},
    ],
    "categories": [{"id": 90, "name": "zebra"}, {"id": 2, "name": "cat"}, {"id": 13, "name": "unseen"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 90, "bbox": [1.25, 2.5, 10.1, 7.7], "area": 33.3, "iscrowd": 0},
        {"id": 2, "image_id": 3, "category_id": 2, "bbox": [0, 0, 40, 30], "area": 1200, "iscrowd": 0, "difficult": 1},
        {"id": 3, "image_id": 7, "category_id": 2, "bbox": [5, 5, 20, 20], "area": 250.5, "iscrowd": 1},
    ],
}


def single(root: Path, content: Any = INSTANCES, name: str = "annotations.json") -> Path:
    for image in ("a", "b", "none"):
        picture(root / f"{image}.png")
    return as_json(root / name, content)


def test_everything_is_kept_as_pycocotools_reads_it(tmp_path: Path) -> None:
    file = single(tmp_path)
    layout, reference = read_coco(file), COCO(str(file))
    assert layout.classes == tuple(reference.cats[i]["name"] for i in sorted(reference.cats))
    assert layout.defects == ()
    by_name = {image["file_name"]: image["id"] for image in reference.imgs.values()}
    for annotation in layout.splits["all"]:
        expected = reference.loadAnns(reference.getAnnIds(by_name[annotation.path.name]))
        ids = [sorted(reference.cats)[label] for label in annotation.labels]
        assert ids == [entry["category_id"] for entry in expected]
        sides = annotation.boxes[:, 2:] - annotation.boxes[:, :2]
        np.testing.assert_allclose(
            np.hstack([annotation.boxes[:, :2], sides]),
            np.reshape([entry["bbox"] for entry in expected], (-1, 4)),
            rtol=1e-14,
        )
        assert annotation.crowd.tolist() == [bool(entry["iscrowd"]) for entry in expected]
        assert Truth.of(annotation).area.tolist() == [entry["area"] for entry in expected]


def test_images_keep_the_order_of_the_file_and_classes_that_of_their_ids(tmp_path: Path) -> None:
    layout = read_coco(single(tmp_path))
    assert [a.id for a in layout.splits["all"]] == ["b", "a", "none"]
    assert layout.classes == ("cat", "unseen", "zebra")
    first, second, empty = layout.splits["all"]
    assert first.labels.tolist() == [2, 0]
    assert second.difficult.tolist() == [True]
    assert second.area is None, "it is the box's own"
    assert empty.boxes.shape == (0, 4)


def test_an_area_that_is_not_stated_is_the_boxs_own(tmp_path: Path) -> None:
    layout = read_coco(single(tmp_path, changed(INSTANCES, "annotations.0.area", ...)))
    area = layout.splits["all"][0].area
    assert area is not None
    np.testing.assert_allclose(area, [10.1 * 7.7, 250.5])
    data = copy.deepcopy(INSTANCES)
    for entry in data["annotations"]:
        del entry["area"]
    assert all(a.area is None for a in read_coco(single(tmp_path, data)).splits["all"])


ONE: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "x.jpg"}],
    "categories": [{"id": 5, "name": "dog"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4]}],
}


@pytest.mark.parametrize(
    ("file", "image"),
    [
        ("annotations/instances_{0}2017.json", "{0}2017/x.jpg"),
        ("annotations/instances_{0}2017.json", "images/{0}2017/x.jpg"),
        ("annotations/instances_{0}.json", "images/{0}/x.jpg"),
        ("annotations/{0}.json", "{0}/x.jpg"),
        ("annotations/{0}.json", "{0}/images/x.jpg"),
        ("{0}/_annotations.coco.json", "{0}/x.jpg"),
        ("{0}/labels.json", "{0}/images/x.jpg"),
        ("{0}.json", "images/{0}/x.jpg"),
        ("coco_{0}.json", "{0}/x.jpg"),
    ],
)
def test_every_arrangement_of_splits(tmp_path: Path, file: str, image: str) -> None:
    """The images are of one name in all splits, so that one found in the wrong folder would show."""
    for split, side in (("train", 40), ("val" if "coco.json" not in file else "valid", 50), ("test", 60)):
        as_json(tmp_path / file.format(split), ONE)
        picture(tmp_path / image.format(split), width=side)
    layout = read_coco(tmp_path)
    assert layout.defects == ()
    assert {split: [a.width for a in found] for split, found in layout.splits.items()} == {
        "train": [40],
        "validation": [50],
        "test": [60],
    }
    ids = [a.id for found in layout.splits.values() for a in found]
    assert len(set(ids)) == 3, "files of one name in several folders are several images"


def test_one_folder_of_images_for_all_splits(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "val")):
        images = [{"id": number, "file_name": f"sub/{split}.jpg"}]
        as_json(tmp_path / f"annotations/{split}.json", {**ONE, "images": images, "annotations": []})
        picture(tmp_path / f"images/sub/{split}.jpg")
    layout = read_coco(tmp_path / "annotations")
    assert layout.root == tmp_path
    assert [a.id for a in layout.splits["train"] + layout.splits["validation"]] == ["sub/train", "sub/val"]


@pytest.mark.parametrize("image", ["x.jpg", "images/x.jpg", "data/x.jpg", "images/x.JPG", "X.JPG"])
def test_one_file_with_images_beside_it(tmp_path: Path, image: str) -> None:
    picture(tmp_path / image)
    as_json(tmp_path / "my boxes.json", ONE)
    assert boxes_of(read_coco(tmp_path), "all") == {"x": [("dog", [1, 2, 4, 6])]}
    assert read_coco(tmp_path / "my boxes.json").splits["all"][0].path == tmp_path / image


def test_a_path_of_another_machine_is_found_by_its_name(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "x.jpg")
    for name in ("/home/someone/data/x.jpg", "C:\\data\\x.jpg", "../elsewhere/x.jpg"):
        as_json(tmp_path / "a.json", {**ONE, "images": [{"id": 1, "file_name": name}]})
        assert boxes_of(read_coco(tmp_path), "all") == {"x": [("dog", [1, 2, 4, 6])]}


def test_the_lists_of_test_images_are_a_note(tmp_path: Path) -> None:
    for split in ("train", "val"):
        as_json(tmp_path / f"annotations/instances_{split}2017.json", ONE)
        picture(tmp_path / f"{split}2017/x.jpg")
    bare = {key: ONE[key] for key in ("images", "categories")}
    as_json(tmp_path / "annotations/image_info_test2017.json", bare)
    as_json(tmp_path / "annotations/image_info_test-dev2017.json", bare)
    layout = read_coco(tmp_path)
    assert layout.splits["test"] == ()
    assert kinds(layout) == [
        ("list of images only", "annotations/image_info_test-dev2017.json"),
        ("list of images only", "annotations/image_info_test2017.json"),
    ]


@pytest.mark.parametrize("annotations", [[], None])
def test_a_test_file_without_annotations_is_no_split(tmp_path: Path, annotations: list[Any] | None) -> None:
    for split in ("train", "valid", "test"):
        content = dict(ONE)
        if split == "test":
            content.pop("annotations")
            content |= {} if annotations is None else {"annotations": annotations}
        as_json(tmp_path / f"{split}/_annotations.coco.json", content)
        picture(tmp_path / f"{split}/x.jpg")
    layout = read_coco(tmp_path)
    assert kinds(layout) == [("list of images only", "test/_annotations.coco.json")]
    assert layout.splits["test"] == ()


def test_other_ids_in_another_split_are_matched_by_name(tmp_path: Path) -> None:
    train = {**ONE, "categories": [{"id": 5, "name": "dog"}, {"id": 6, "name": "cat"}]}
    categories = [{"id": 0, "name": "cat"}, {"id": 5, "name": "dog"}, {"id": 8, "name": "emu"}]
    annotations = [{"image_id": 1, "category_id": i, "bbox": [i, 1, 3, 3]} for i in (0, 5, 8)]
    as_json(tmp_path / "train/_annotations.coco.json", train)
    as_json(tmp_path / "valid/_annotations.coco.json", {**ONE, "categories": categories, "annotations": annotations})
    picture(tmp_path / "train/x.jpg")
    picture(tmp_path / "valid/x.jpg")
    layout = read_coco(tmp_path)
    assert layout.classes == ("dog", "cat")
    assert list(boxes_of(layout, "validation").values()) == [[("cat", [0, 1, 3, 4]), ("dog", [5, 1, 8, 4])]]
    assert [(d.kind, d.detail) for d in layout.defects] == [
        ("unknown class", "annotations[2]: the train split has no class 'emu'")
    ]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("images.0.file_name", "gone.png", ("missing image", "gone")),
        ("images.0.file_name", ..., ("missing image", "images[0]")),
        ("images.0.file_name", 5, ("missing image", "images[0]")),
        ("images.0.width", 41, ("size differs", "b")),
        ("images.1.file_name", "b.png", ("duplicate id", "b")),
        ("annotations.0.image_id", 55, ("annotation without image", "annotations.json")),
        ("annotations.0.image_id", [1], ("annotation without image", "annotations.json")),
        ("annotations.0.category_id", 3, ("unknown class", "b")),
        ("annotations.0.category_id", {}, ("unknown class", "b")),
        ("annotations.0.bbox", ..., ("broken object", "b")),
        ("annotations.0.bbox", [], ("broken object", "b")),
        ("annotations.0.bbox", [1, 2, 3], ("broken object", "b")),
        ("annotations.0.bbox", [1, 2, 3, None], ("broken object", "b")),
        ("annotations.0.bbox", [1, 2, float("inf"), 4], ("broken object", "b")),
        ("annotations.0.bbox", [1, 2, 10**400, 4], ("broken object", "b")),
        ("annotations.0.bbox", [1, 2, 0, 4], ("box without area", "b")),
        ("annotations.0.bbox", [1, 2, -3, 4], ("inverted box", "b")),
        ("annotations.0.bbox", [30, 2, 30, 4], ("box partly outside", "b")),
        ("annotations.0.bbox", [50, 2, 30, 4], ("box outside", "b")),
        ("annotations.0.bbox", [0.1, 0.2, 0.3, 0.4], ("wrong units", "b")),
    ],
)
def test_what_is_wrong_with_one_entry_is_a_defect(
    tmp_path: Path, path: str, value: Any, expected: tuple[str, str]
) -> None:
    layout = read_coco(single(tmp_path, changed(INSTANCES, path, value)))
    assert kinds(layout) == [expected]
    assert sum(len(a.boxes) for a in layout.splits["all"]) >= 1


def test_shares_instead_of_pixels_are_named(tmp_path: Path) -> None:
    layout = read_coco(single(tmp_path, changed(INSTANCES, "annotations.0.bbox", [0.1, 0.2, 0.3, 0.4])))
    assert "it looks like shares of the image's width and height" in layout.defects[0].detail


def test_the_last_bits_of_a_sum_are_no_defect(tmp_path: Path) -> None:
    """COCO rounds x and width to two places each: x + width may pass the border by a hundredth."""
    layout = read_coco(single(tmp_path, changed(INSTANCES, "annotations.0.bbox", [29.9, 1, 10.11, 4])))
    assert layout.defects == ()
    assert layout.splits["all"][0].boxes[0].tolist() == [29.9, 1, 40, 5]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is not JSON"),
        ('{"images": [', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "a mapping, got a list; is it a file of detections"),
        ("5", "got a number"),
        (changed(INSTANCES, "images", {}), "'images' should be a list, got a mapping"),
        (changed(INSTANCES, "images.0", 5), r"images\[0\] should be a mapping"),
        (changed(INSTANCES, "images.0.id", 3), "the id 3 stands twice in 'images'"),
        (changed(INSTANCES, "annotations", ...), "the key 'annotations' is missing"),
        (changed(INSTANCES, "categories", []), "'categories' is empty"),
        (changed(INSTANCES, "categories.1.name", ...), r"categories\[1\] has no 'name' that is a text"),
        (changed(INSTANCES, "categories.1.name", [1]), r"categories\[1\] has no 'name' that is a text"),
    ],
)
def test_a_file_that_is_not_cocos_is_refused_by_name(tmp_path: Path, content: Any, words: str) -> None:
    file = tmp_path / "instances.json"
    text(file, content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError, match=words) as error:
        read_coco(file)
    assert str(file) in str(error.value)


def test_files_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    as_json(tmp_path / "annotations/instances_val2014.json", ONE)
    as_json(tmp_path / "annotations/instances_val2017.json", ONE)
    with pytest.raises(DataError, match="are both for the validation split"):
        read_coco(tmp_path)
    as_json(tmp_path / "other/one.json", ONE)
    as_json(tmp_path / "other/two.json", ONE)
    with pytest.raises(DataError, match=r"one\.json, two\.json are all COCO's, and no name says train"):
        read_coco(tmp_path / "other")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
PLACES = [
    *("images", "annotations", "categories", "images.0", "annotations.0", "categories.0", "images.0.id"),
    *("images.0.file_name", "images.0.width", "categories.0.id", "categories.0.name", "annotations.0.bbox"),
    *("annotations.0.image_id", "annotations.0.category_id", "annotations.0.area", "annotations.0.iscrowd"),
]


@given(st.sampled_from(PLACES), values)
def test_any_value_anywhere_is_a_layout_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, path: str, value: Any
) -> None:
    root = tmp_path_factory.getbasetemp() / "any-coco"
    if not root.is_dir():
        single(root)
    file = as_json(root / "annotations.json", changed(INSTANCES, path, value))
    try:
        layout = read_coco(file)
    except DataError:
        return
    for annotation in layout.splits["all"]:
        assert ((annotation.boxes >= 0) & (annotation.boxes <= [WIDTH, HEIGHT, WIDTH, HEIGHT])).all()
        assert (annotation.boxes[:, 2:] > annotation.boxes[:, :2]).all()
