"""Opening a data set: what is said, what is refused, and what changes its fingerprint."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from voc_folder import VocFolder, clean, dirty

from ablab.errors import ConfigError, DataError
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.dataset import Dataset, manifest, open_dataset
from ablab.tasks.detection.formats.reading import read_image
from ablab.tasks.detection.recipe import DetectionData


def opened(folder: VocFolder | Path) -> Dataset:
    return open_dataset(DetectionData(path=str(folder.root if isinstance(folder, VocFolder) else folder)))


def test_a_clean_folder_has_no_notes(tmp_path: Path) -> None:
    dataset = opened(clean(tmp_path / "pets"))
    assert (dataset.name, dataset.classes, dataset.notes) == ("pets", ("cat", "dog"), ())
    assert list(dataset.splits) == ["train", "validation", "test"]


def test_training_goes_on_without_what_is_bad(tmp_path: Path) -> None:
    dataset = opened(dirty(tmp_path))
    by_id = {a.id: a for found in dataset.splits.values() for a in found}
    assert set(by_id) == {
        *("a", "b", "c", "d", "flat", "inverted", "outside", "partly", "broken-object", "twice", "stranger", "copy")
    }
    np.testing.assert_array_equal(by_id["flat"].boxes, [[1, 1, 8, 8]])
    np.testing.assert_array_equal(by_id["partly"].boxes, [[0, 4, 8, 30]])
    np.testing.assert_array_equal(by_id["stranger"].boxes, [[2, 2, 6, 6]])
    assert len(by_id["inverted"].boxes) == len(by_id["outside"].boxes) == len(by_id["broken-object"].boxes) == 0
    for annotation in by_id.values():
        assert read_image(annotation.path).shape == (annotation.height, annotation.width, 3)
    assert "1 box without area was left out: flat" in dataset.notes
    assert "2 unreadable images were left out: cut, text" in dataset.notes
    assert "1 image is in more than one split, which flatters the scores: b" in dataset.notes


def test_a_note_names_the_first_few(tmp_path: Path) -> None:
    folder = clean(tmp_path)
    for i in range(7):
        folder.add("train", f"bad{i}", ("dog", 5, 5, 5, 8))
    assert opened(folder).notes == ("7 boxes without area were left out: bad0, bad1, bad2, bad3, bad4, ...",)


def test_no_test_list_is_a_note(tmp_path: Path) -> None:
    folder = clean(tmp_path)
    folder.list("test").unlink()
    dataset = opened(folder)
    assert dataset.splits["test"] == ()
    assert dataset.notes == ("ImageSets/Main/test.txt is absent: there is no test split",)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda f: f.list("val").unlink(),
            r"validation split has no list.*write the ids of its images into .*val\.txt",
        ),
        (lambda f: f.list("train").write_text(" \n"), r"the train split is empty; write the ids"),
        (lambda f: f.list("test").write_text(""), r"the test split is empty"),
        (lambda f: f.image("c").unlink(), r"no image of the validation split can be used \(1 x missing image\)"),
        (lambda f: f.xml("a").write_text("<annotation/>"), r"the train split has no box that can be used"),
    ],
)
def test_a_split_without_images_is_refused(tmp_path: Path, spoil: Callable[[VocFolder], None], message: str) -> None:
    folder = clean(tmp_path)
    spoil(folder)
    with pytest.raises(DataError, match=message):
        opened(folder)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("petz", "did you mean 'pets'?"),
        ("pest/more", "pest does not exist; did you mean 'pets'?"),
        ("photo_digits", "did you mean 'photo-digits'?"),
        ("Photo-Digits", "did you mean 'photo-digits'?"),
        ("q", "valid: pets, photo-digits"),
        ("list.txt", "is a file of no layout that ablab knows; expected one of VOC (JPEGImages"),
    ],
)
def test_a_path_that_is_none_is_answered_with_the_nearest(tmp_path: Path, path: str, message: str) -> None:
    clean(tmp_path / "pets")
    (tmp_path / "list.txt").touch()
    with pytest.raises(DataError, match=re.escape(message)):
        opened(tmp_path / path)


def test_a_field_of_photo_digits_is_no_silent_treatment_elsewhere(tmp_path: Path) -> None:
    folder = clean(tmp_path)
    with pytest.raises(ConfigError, match=r"data\.classes and data\.size would do nothing"):
        open_dataset(DetectionData(path=str(folder.root), classes=2, size=96))


def test_the_manifest_is_the_same_elsewhere(tmp_path: Path) -> None:
    first = opened(clean(tmp_path / "here"))
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    second = opened(tmp_path / "there")
    assert first.name != second.name
    assert re.fullmatch("[0-9a-f]{16}", manifest(first))
    assert manifest(first) == manifest(second)


def changed(annotation: Annotation, field: str) -> Annotation:
    value = getattr(annotation, field)
    if field == "area":  # not stated so far
        value = np.zeros(len(annotation.boxes))
    if isinstance(value, np.ndarray):
        value = ~value if value.dtype == bool else value + 1
    else:
        value = value + 1 if isinstance(value, int) else f"{value}x"
    return dataclasses.replace(annotation, **{field: value})


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Annotation) if field.name != "path"])
def test_every_field_of_an_annotation_changes_the_manifest(tmp_path: Path, field: str) -> None:
    dataset = opened(clean(tmp_path))
    first, *rest = dataset.splits["train"]
    other = dataclasses.replace(dataset, splits={**dataset.splits, "train": (changed(first, field), *rest)})
    assert manifest(other) != manifest(dataset)


def test_bytes_classes_and_splits_change_the_manifest(tmp_path: Path) -> None:
    folder = clean(tmp_path)
    dataset = opened(folder)
    splits = dataset.splits
    swapped = {**splits, "validation": splits["test"], "test": splits["validation"]}
    reordered = {**splits, "train": splits["train"][::-1]}
    others = [
        dataclasses.replace(dataset, classes=("cat", "fox")),
        dataclasses.replace(dataset, splits=swapped),
        dataclasses.replace(dataset, splits=reordered),
    ]
    seen = [manifest(d) for d in (dataset, *others)]
    folder.image("b").write_bytes(folder.image("a").read_bytes())
    assert len({*seen, manifest(dataset)}) == 5


def test_the_manifest_says_which_image_has_gone(tmp_path: Path) -> None:
    folder = clean(tmp_path)
    dataset = opened(folder)
    folder.image("c").unlink()
    with pytest.raises(DataError, match=r"no image at .*c\.png"):
        manifest(dataset)


def test_bccd_opens_without_its_two_bad_boxes(bccd: Path) -> None:
    dataset = opened(bccd)
    assert dataset.notes == ("2 boxes without area were left out: BloodImage_00338, BloodImage_00343",)
    assert sum(len(a.boxes) for found in dataset.splits.values() for a in found) == 4155 + 372 + 361 - 2
