"""Splits from a file: what decides, what is refused, and what is said where there are none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from small_files import as_json, picture, text
from voc_folder import clean

from ablab.errors import AblabError, ConfigError, DataError
from ablab.tasks.detection.formats.dataset import Dataset, manifest, open_dataset
from ablab.tasks.detection.recipe import DetectionData

NAMES = "abcdef"


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Six images without splits; the second half has cats, the first dogs."""
    images = [{"id": i, "file_name": f"{name}.png"} for i, name in enumerate(NAMES)]
    boxes = [{"image_id": i, "category_id": i // 3, "bbox": [1, 2, 3 + i, 4]} for i in range(6)]
    categories = [{"id": 0, "name": "dog"}, {"id": 1, "name": "cat"}]
    for name in NAMES:
        picture(tmp_path / "pets" / f"{name}.png")
    content = {"images": images, "annotations": boxes, "categories": categories}
    as_json(tmp_path / "pets" / "annotations.json", content)
    return tmp_path / "pets"


def opened(root: Path, table: str, fold: int | None = None) -> Dataset:
    file = text(root.parent / "splits.csv", table)
    return open_dataset(DetectionData(path=str(root), splits=str(file), fold=fold))


def ids(dataset: Dataset) -> dict[str, list[str]]:
    return {split: [a.id for a in found] for split, found in dataset.splits.items()}


def test_no_splits_are_answered_with_the_way_on(pets: Path) -> None:
    with pytest.raises(DataError, match=re.escape(f"run `ablab data split {pets} --parts 6:2:2`")):
        open_dataset(DetectionData(path=str(pets)))


def test_a_file_says_which_image_is_where(pets: Path) -> None:
    dataset = opened(pets, "image,split\nc,train\na.png,train\nf,val\nb,test\n")
    assert ids(dataset) == {"train": ["c", "a"], "validation": ["f"], "test": ["b"]}
    assert dataset.notes == ("2 images that data.splits does not list were left out: d, e",)


def test_the_chosen_fold_is_validation(pets: Path) -> None:
    table = "image,fold\n" + "".join(f"{name},{i % 3}\n" for i, name in enumerate(NAMES))
    for fold in range(3):
        dataset = opened(pets, table, fold)
        assert ids(dataset)["validation"] == [NAMES[fold], NAMES[fold + 3]]
        assert ids(dataset)["train"] == [name for i, name in enumerate(NAMES) if i % 3 != fold]
        assert dataset.splits["test"] == ()
        assert dataset.notes == ("there is no test split",)


def test_a_test_split_may_stand_beside_the_folds(pets: Path) -> None:
    for fold, validation in enumerate(("a", "b")):
        dataset = opened(pets, "image,fold\na,0\nb,01\nc,test\nd,0\ne,1\n", fold)
        assert ids(dataset)["validation"][0] == validation
        assert ids(dataset)["test"] == ["c"]
        assert len(ids(dataset)["train"]) == 2


def test_a_file_decides_instead_of_the_layout(tmp_path: Path) -> None:
    """Classes, too: `emu` was in test alone, where nobody could learn it."""
    folder = clean(tmp_path / "pets")
    folder.add("test", "e", ("emu", 1, 2, 9, 9))
    assert open_dataset(DetectionData(path=str(folder.root))).classes == ("cat", "dog")
    dataset = opened(folder.root, "image,split\ne,train\na,train\nd,val\n")
    assert dataset.classes == ("cat", "dog", "emu")
    assert ids(dataset) == {"train": ["e", "a"], "validation": ["d"], "test": []}


def test_names_of_files_do_where_they_are_one(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for name in ("1", split):
            picture(tmp_path / f"pets/images/{split}/{name}.png")
            text(tmp_path / f"pets/labels/{split}/{name}.txt", "0 0.5 0.5 0.5 0.5")
    rows = "image,split\ntrain.png,val\nimages/val/1,train\nimages/train/1.png,train\n"
    dataset = opened(tmp_path / "pets", rows)
    assert ids(dataset) == {"train": ["images/val/1", "images/train/1"], "validation": ["train"], "test": []}
    with pytest.raises(DataError, match=r"line 2: '1\.png' may be images/train/1 and images/val/1; write one of these"):
        opened(tmp_path / "pets", "image,split\n1.png,val\n")


@pytest.mark.parametrize(
    ("table", "fold", "kind", "words"),
    [
        ("image,split\na,train\nx,val\n", None, DataError, r"splits\.csv, line 3: .*pets has no image 'x'; valid: a"),
        ("image,split\na,train\na,val\n", None, DataError, "'a' is in validation here, and in train above"),
        ("image,split\na,trian\n", None, DataError, "line 2: 'trian' is no split; did you mean 'train'"),
        ("image,split\na\n", None, DataError, "line 2: '' is no split"),
        ("name,split\na,train\n", None, DataError, "expected a CSV file with the columns image and split"),
        ("", None, DataError, "got nothing"),
        ("image,split\n", None, DataError, "there is no train split"),
        ("image,split\na,train\n", None, DataError, "there is no validation split"),
        ("image,fold\na,0\nb,1\n", None, ConfigError, "data.fold chooses one for validation; set it"),
        ("image,split\na,train\nb,val\n", 0, ConfigError, "has the column split, not fold: take data.fold out"),
        ("image,fold\na,0\nb,1\n", 2, DataError, "data.fold is 2, but .* has the folds 0, 1"),
        ("image,fold\na,first\n", 0, DataError, "line 2: 'first' is no fold; folds are whole numbers"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    pets: Path, table: str, fold: int | None, kind: type[AblabError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        opened(pets, table, fold)


def test_a_file_that_is_not_there_is_answered_with_the_nearest(pets: Path) -> None:
    text(pets / "splits.csv", "image,split\n")
    with pytest.raises(DataError, match=r"no file .*split\.csv; did you mean 'splits\.csv'"):
        open_dataset(DetectionData(path=str(pets), splits=str(pets / "split.csv")))


def test_fields_that_would_do_nothing_are_refused(pets: Path) -> None:
    for fields in ({"splits": "x.csv"}, {"fold": 1}):
        with pytest.raises(ConfigError, match="would do nothing: photo-digits has its own splits"):
            open_dataset(DetectionData(**fields))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"data\.fold would do nothing: data\.splits names no file"):
        open_dataset(DetectionData(path=str(pets), fold=1))


def test_other_splits_are_another_manifest(pets: Path) -> None:
    table = "image,fold\n" + "".join(f"{name},{i % 3}\n" for i, name in enumerate(NAMES))
    assert len({manifest(opened(pets, table, fold)) for fold in range(3)}) == 3


def test_a_data_set_in_a_wrong_unit_is_refused_with_the_guess(tmp_path: Path) -> None:
    for split in ("train", "val"):
        picture(tmp_path / f"images/{split}/{split}.png")
        text(tmp_path / f"labels/{split}/{split}.txt", "0 20 10 38 28")
    with pytest.raises(
        DataError, match=r"no box that can be used \(2 x wrong units.*it looks like pixels \(x1 y1 x2 y2"
    ):
        open_dataset(DetectionData(path=str(tmp_path)))
