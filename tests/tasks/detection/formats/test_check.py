"""`check` names every planted defect, nothing else, and everything that training leaves out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from voc_folder import PLANTED, clean, dirty

from ablab.errors import DataError
from ablab.tasks.detection.formats.check import check
from ablab.tasks.detection.formats.dataset import open_dataset
from ablab.tasks.detection.formats.defect import MET
from ablab.tasks.detection.recipe import DetectionData


def test_nothing_is_wrong_with_a_clean_folder(tmp_path: Path) -> None:
    assert check(clean(tmp_path).root) == []


def test_every_planted_defect_is_named_once(tmp_path: Path) -> None:
    found = Counter((defect.kind, defect.where) for defect in check(dirty(tmp_path).root))
    assert found == Counter(PLANTED)


def test_a_detail_says_what_came(tmp_path: Path) -> None:
    details = {(d.kind, d.where): d.detail for d in check(dirty(tmp_path).root)}
    assert details["box without area", "flat"] == "dog at 5, 5, 5, 5 in an image of 40 x 30"
    assert details["duplicate box", "twice"] == "dog at 1, 1, 8, 8 stands 2 times"
    assert details["same image", "copy"] == "its file holds the same as that of a"
    assert details["id in two splits", "b"] == "it is in train and test"
    assert details["duplicate id", "a"] == "ImageSets/Main/train.txt lists it in lines 1 and 15"
    assert "cut.png" in details["unreadable image", "cut"]


def test_all_that_training_leaves_out_is_named(tmp_path: Path) -> None:
    """From outside: compare what the files hold with what training gets, image by image and box by box."""
    folder = dirty(tmp_path)
    named = Counter(defect.where for defect in check(folder.root))
    dataset = open_dataset(DetectionData(path=str(folder.root)))
    for split, file in (("train", "train"), ("validation", "val"), ("test", "test")):
        used = {a.id: len(a.boxes) for a in dataset.splits[split]}
        for name in folder.list(file).read_text().split():
            written = folder.xml(name).read_text().count("<name>") if folder.xml(name).exists() else 0
            missing = 1 if name not in used else written - used[name]
            assert named[name] >= missing, name


def test_a_note_counts_what_check_names(tmp_path: Path) -> None:
    folder = dirty(tmp_path)
    counts = Counter(defect.kind for defect in check(folder.root))
    notes = open_dataset(DetectionData(path=str(folder.root))).notes
    expected = {kind: counts[kind] for kind in MET if counts[kind]}
    assert sorted(int(note.split()[0]) for note in notes) == sorted(expected.values())
    for kind, count in expected.items():
        assert any(note.startswith(f"{count} {MET[kind][count > 1]}: ") for note in notes), kind


def test_an_empty_split_and_a_missing_list_are_named(tmp_path: Path) -> None:
    folder = clean(tmp_path)
    folder.list("val").write_text("\n")
    folder.list("test").unlink()
    assert [(d.kind, d.where) for d in check(folder.root)] == [
        ("missing list", "ImageSets/Main/test.txt"),
        ("empty split", "ImageSets/Main/val.txt"),
    ]


def test_damage_that_only_decoding_finds_is_named(tmp_path: Path) -> None:
    folder = clean(tmp_path)
    data = bytearray(folder.image("a").read_bytes())
    data[len(data) // 2] ^= 0xFF
    folder.image("a").write_bytes(data)
    assert [(d.kind, d.where) for d in check(folder.root)] == [("unreadable image", "a")]


def test_progress_ends_at_the_number_of_images(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    check(clean(tmp_path).root, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        check(tmp_path / "nowhere")
    with pytest.raises(DataError, match="photo-digits is composed by ablab and has no folder"):
        check(Path("photo-digits"))


def test_bccd_has_two_boxes_without_area_and_nothing_else(bccd: Path) -> None:
    assert sorted((d.kind, d.where) for d in check(bccd)) == [
        ("box without area", "BloodImage_00338"),
        ("box without area", "BloodImage_00343"),
    ]
