"""Reading COCO's files: what is kept, and what is said where a file is wrong."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from json_edit import changed

from ablab.errors import DataError
from ablab.tasks.detection.formats.coco import read_detections, read_truth

INSTANCES = {
    "images": [{"id": 12}, {"id": 3}],
    "categories": [{"id": 7, "name": "cat"}, {"id": 2, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 12, "category_id": 7, "bbox": [0.1, 0.2, 0.2, 32.0], "area": 5.0, "iscrowd": 0},
        {"id": 2, "image_id": 12, "category_id": 2, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 1},
    ],
}
RESULTS = [
    {"image_id": 12, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5},
    {"image_id": 3, "category_id": 7, "bbox": [0.1, 0.2, 0.2, 0.3], "score": 1},
]


def write(folder: Path, value) -> Path:
    path = folder / "file.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_truth_is_kept_to_the_bit(tmp_path):
    instances = read_truth(write(tmp_path, INSTANCES))
    assert instances.classes == ("dog", "cat")
    assert instances.image_ids == (3, 12)
    assert [t.image for t in instances.truths] == ["3", "12"]
    empty, full = instances.truths
    assert empty.boxes.shape == (0, 4)
    assert full.labels.tolist() == [1, 0]
    assert full.boxes[1].tolist() == [1, 2, 4, 6]
    assert full.sides[0].tolist() == [0.2, 32.0]
    assert (full.boxes[0, 2:] - full.boxes[0, :2]).tolist() != [0.2, 32.0], "the case should need `sides`"
    assert full.area.tolist() == [5, 12]
    assert full.crowd.tolist() == full.ignore.tolist() == [False, True]


def test_detections_follow_the_images_of_the_truth(tmp_path):
    instances = read_truth(write(tmp_path, INSTANCES))
    first, second = read_detections(write(tmp_path, RESULTS), instances)
    assert (first.labels.tolist(), first.scores.tolist(), first.sides.tolist()) == ([1], [1.0], [[0.2, 0.3]])
    assert (second.labels.tolist(), second.scores.tolist()) == ([0], [0.5])
    assert [len(d) for d in read_detections(write(tmp_path, []), instances)] == [0, 0]


def test_area_and_crowd_may_be_missing(tmp_path):
    data = copy.deepcopy(INSTANCES)
    del data["annotations"][0]["area"], data["annotations"][1]["iscrowd"]
    truth = read_truth(write(tmp_path, data)).truths[1]
    assert truth.area.tolist() == [0.2 * 32, 12]
    assert truth.crowd.tolist() == [False, False]


def test_equal_names_are_told_apart(tmp_path):
    data = INSTANCES | {"categories": [{"id": 2, "name": "cell"}, {"id": 7, "name": "cell"}]}
    assert read_truth(write(tmp_path, data)).classes == ("cell (2)", "cell (7)")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{", "is not JSON"),
        ("\x80", "is not JSON"),
        ([], "expected COCO's instances, a mapping, got a list; is it the file of detections?"),
        (changed(INSTANCES, "images", ...), "the key 'images' is missing"),
        (changed(INSTANCES, "images", {}), "'images' should be a list, got a mapping"),
        (changed(INSTANCES, "images.1", 5), r"images\[1\] should be a mapping, got a number"),
        (changed(INSTANCES, "images.1.id", ...), r"images\[1\] has no 'id'"),
        (changed(INSTANCES, "images.1.id", 12), "the id 12 stands twice in 'images'"),
        (changed(INSTANCES, "images.1.id", "3"), "all be whole numbers, or all texts"),
        (changed(INSTANCES, "categories", []), "'categories' is empty"),
        (changed(INSTANCES, "categories.0.name", ...), r"categories\[0\] has no 'name'"),
        (
            changed(INSTANCES, "annotations.1.image_id", 4),
            r"annotations\[1\] has the unknown image_id 4; the truth has 3, 12",
        ),
        (changed(INSTANCES, "annotations.1.category_id", [1]), r"annotations\[1\] has the unknown category_id \[1\]"),
        (changed(INSTANCES, "annotations.0.bbox", ...), r"annotations\[0\] has no 'bbox'"),
        (
            changed(INSTANCES, "annotations.0.bbox", [1, 2, 3]),
            r"annotations\[0\] should have a bbox \[x, y, width, height\]",
        ),
        (
            changed(INSTANCES, "annotations.1.bbox.2", float("nan")),
            r"annotations\[1\] has nan in 'bbox'; expected a finite",
        ),
        (changed(INSTANCES, "annotations.1.bbox.2", "3"), r"annotations\[1\] has '3' in 'bbox'"),
        (changed(INSTANCES, "annotations.1.area", None), r"annotations\[1\] has None in 'area'"),
    ],
)
def test_what_is_wrong_with_a_truth(tmp_path, data, words):
    path = write(tmp_path, data)
    with pytest.raises(DataError, match=words) as error:
        read_truth(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("results", "words"),
    [
        (INSTANCES, "expected COCO's results, a list of detections, got a mapping; is it the truth?"),
        ([3], r"detections\[0\] should be a mapping"),
        ([RESULTS[0], {**RESULTS[1], "image_id": 99}], r"detections\[1\] has the unknown image_id 99; .* 3, 12"),
        ([{**RESULTS[0], "image_id": "12"}], "unknown image_id '12'"),
        ([{**RESULTS[0], "category_id": 1}], "unknown category_id 1; the truth has 2, 7"),
        ([{"image_id": 3, "category_id": 7, "bbox": [0, 0, 1, 1], "scores": 1}], "no 'score'; did you mean 'scores'"),
        ([{**RESULTS[0], "score": float("inf")}], "has inf in 'score'"),
    ],
)
def test_what_is_wrong_with_detections(tmp_path, results, words):
    instances = read_truth(write(tmp_path, INSTANCES))
    with pytest.raises(DataError, match=words):
        read_detections(write(tmp_path, results), instances)


def test_a_file_that_is_not_there(tmp_path):
    write(tmp_path, INSTANCES)
    with pytest.raises(DataError, match=r"no file .*fiel.json; did you mean 'file.json'"):
        read_truth(tmp_path / "fiel.json")
    with pytest.raises(DataError, match="cannot read"):
        read_truth(tmp_path)
