"""`check` names every planted defect, nothing else, and everything that training leaves out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from voc_folder import HEIGHT, PLANTED, WIDTH, VocFolder, annotation, dirty

from ablab.errors import DataError
from ablab.tasks.detection.formats.check import check
from ablab.tasks.detection.formats.dataset import open_dataset
from ablab.tasks.detection.formats.defect import ERRORS, MET, NOTES, WARNINGS, Defect
from ablab.tasks.detection.formats.layouts.recognise import read_layout
from ablab.tasks.detection.recipe import DetectionData

BOXES = (("dog", 1, 2, 11, 12), ("cat", 15, 5, 30.5, 25))


def checked(root: Path) -> list[Defect]:
    return check(read_layout(root))


def sound(root: Path) -> VocFolder:
    """Ten images with a dog and a cat in each split; nothing is wrong, and no note is due."""
    folder = VocFolder(root)
    for split in ("train", "val", "test"):
        for number in range(10):
            folder.add(split, f"{split}-{number}", *BOXES)
    return folder


def test_nothing_is_wrong_with_a_sound_folder(tmp_path: Path) -> None:
    assert checked(sound(tmp_path).root) == []


Plant = Callable[[VocFolder], object]


def rewrite(name: str, *boxes: tuple[str, float, float, float, float]) -> Plant:
    return lambda folder: folder.xml(name).write_text(annotation((*BOXES, *boxes), (WIDTH, HEIGHT)))


def replace(name: str, make: Callable[[Image.Image], Image.Image], suffix: str = ".png", **options: object) -> Plant:
    def plant(folder: VocFolder) -> None:
        picture = make(Image.open(folder.image(name)).convert("RGB"))
        folder.image(name).unlink()
        picture.save(folder.image(name, suffix), **options)

    return plant


def copy(one: str, other: str) -> Plant:
    return lambda folder: folder.image(other).write_bytes(folder.image(one).read_bytes())


def brighten(one: str, other: str) -> Plant:
    """The same picture in other bytes."""

    def plant(folder: VocFolder) -> None:
        pixels = np.asarray(Image.open(folder.image(one)))
        Image.fromarray((pixels * 0.9 + 10).astype(np.uint8)).save(folder.image(other))

    return plant


def deep(brightest: int) -> Plant:
    def plant(folder: VocFolder) -> None:
        grey = cv2.imread(str(folder.image("train-0")), cv2.IMREAD_GRAYSCALE).astype(np.uint16)
        cv2.imwrite(str(folder.image("train-0")), grey * (brightest // 255))

    return plant


def damage(folder: VocFolder) -> None:
    """Overwrite bytes in the middle of a JPEG's pixels with a marker that does not belong there."""
    replace("val-3", lambda picture: picture, ".jpg", quality=95)(folder)
    file = folder.image("val-3", ".jpg")
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = b"\xff\xd5" * 20
    file.write_bytes(data)


def turned(tag: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif


def unlist(name: str) -> Plant:
    def plant(folder: VocFolder) -> None:
        for split in ("train", "val", "test"):
            kept = [line for line in folder.list(split).read_text().split() if line != name]
            folder.list(split).write_text("\n".join(kept))

    return plant


def both(*plants: Plant) -> Plant:
    return lambda folder: [plant(folder) for plant in plants]


def everywhere(box: tuple[str, float, float, float, float]) -> Plant:
    return both(*(rewrite(f"{split}-{number}", box) for split in ("train", "val", "test") for number in range(10)))


def add(split: str, name: str, *boxes: tuple[str, float, float, float, float]) -> Plant:
    return lambda folder: folder.add(split, name, *boxes)


CASES: list[tuple[str, str, Plant]] = [
    ("same image twice", "train-7", copy("train-2", "train-7")),
    ("same image in two splits", "test-1", copy("train-2", "test-1")),
    ("near-duplicate", "val-5", brighten("val-4", "val-5")),
    ("near-duplicate in two splits", "test-0", brighten("val-4", "test-0")),
    ("duplicate box", "train-1", rewrite("train-1", BOXES[0])),
    ("duplicate box", "train-1", rewrite("train-1", ("cat", 15, 5, 30.5, 24.5))),  # IoU 0.975
    ("box of two classes", "train-1", rewrite("train-1", ("dog", *BOXES[1][1:]))),
    ("tiny box", "val-2", rewrite("val-2", ("dog", 20, 4, 22.5, 9))),
    ("box of the whole image", "test-9", rewrite("test-9", ("cat", 0, 0, WIDTH, HEIGHT - 1))),
    ("EXIF rotation", "train-4", replace("train-4", lambda p: p, ".jpg", quality=95, exif=turned(6))),
    ("EXIF rotation", "train-4", replace("train-4", lambda p: p, exif=turned(3))),
    ("CMYK image", "train-4", replace("train-4", lambda p: p.convert("CMYK"), ".jpg", quality=95)),
    ("16-bit image", "train-0", deep(65535)),
    ("palette image", "train-4", replace("train-4", lambda p: p.quantize(64))),
    ("image with alpha", "train-4", replace("train-4", lambda p: p.convert("RGBA"))),
    ("image with alpha", "train-4", replace("train-4", lambda p: p.convert("LA"))),
    ("damaged image", "val-3", damage),
    ("image in no split", "JPEGImages/val-1.png", unlist("val-1")),
    (
        "image without annotation",
        "JPEGImages/val-1.png",
        both(unlist("val-1"), lambda folder: folder.xml("val-1").unlink()),
    ),
    (
        "annotation without image",
        "Annotations/val-1.xml",
        both(unlist("val-1"), lambda folder: folder.image("val-1").unlink()),
    ),
    ("non-ASCII name", "JPEGImages/猫.png", add("train", "猫", *BOXES)),
    ("non-ASCII name", "köter", everywhere(("köter", 2, 15, 12, 28))),
    ("classes of like name", "dog", everywhere(("Dog", 2, 15, 12, 28))),
    ("unknown class", "val-2", rewrite("val-2", ("cow", 2, 15, 12, 28))),
    ("wrong units", "val-2", rewrite("val-2", ("dog", 0.25, 0.1, 0.5, 0.9))),
]


@pytest.mark.parametrize(("kind", "where", "plant"), CASES, ids=[f"{kind}-{i}" for i, (kind, _, _) in enumerate(CASES)])
def test_a_planted_defect_is_named_once_and_nothing_else(kind: str, where: str, plant: Plant, tmp_path: Path) -> None:
    folder = sound(tmp_path)
    plant(folder)
    # An image that drops out takes its boxes along, which leaves nine of each class; that is told, too.
    found = [(d.kind, d.where) for d in checked(folder.root) if d.kind != "class with few boxes"]
    assert found == [(kind, where)]


def test_everything_of_the_old_folder_is_named_once(tmp_path: Path) -> None:
    found = Counter((d.kind, d.where) for d in checked(dirty(tmp_path).root) if d.severity != "note")
    assert found == Counter(PLANTED | {("box of two classes", "twice"), ("class missing from a split", "cat")})


def test_a_detail_says_what_came(tmp_path: Path) -> None:
    details = {(d.kind, d.where): d.detail for d in checked(dirty(tmp_path).root)}
    assert details["box without area", "flat"] == "dog at 5, 5, 5, 5 in an image of 40 x 30"
    assert details["duplicate box", "twice"] == "dog at 1, 1, 8, 8 stands 2 times"
    assert details["box of two classes", "twice"] == "dog and cat share at 1, 1, 8, 8"
    assert details["same image in two splits", "copy"].startswith(
        "its file holds the same as that of a, which is annot"
    )
    assert details["id in two splits", "b"] == "it is in train and test"
    assert details["duplicate id", "a"] == "ImageSets/Main/train.txt lists it in lines 1 and 15"
    assert details["class missing from a split", "cat"] == "test has no box of it; train 3, validation 2"
    assert "cut.png" in details["unreadable image", "cut"]


def test_a_dark_image_of_16_bits_is_told_how_dark_it_becomes(tmp_path: Path) -> None:
    folder = sound(tmp_path)
    deep(4095)(folder)
    (defect,) = checked(folder.root)
    assert re.search(r"the brightest is then 1\d of 255", defect.detail)


def test_copies_with_other_boxes_are_told(tmp_path: Path) -> None:
    folder = sound(tmp_path)
    copy("train-0", "train-1")(folder)
    (defect,) = checked(folder.root)
    assert "annotated otherwise" not in defect.detail
    rewrite("train-1", ("dog", 2, 15, 12, 28))(folder)
    (defect,) = checked(folder.root)
    assert "annotated otherwise" in defect.detail


def test_all_that_training_leaves_out_is_named(tmp_path: Path) -> None:
    """From outside: compare what the files hold with what training gets, image by image and box by box."""
    folder = dirty(tmp_path)
    named = Counter(defect.where for defect in checked(folder.root))
    dataset = open_dataset(DetectionData(path=str(folder.root)))
    for split, file in (("train", "train"), ("validation", "val"), ("test", "test")):
        used = {a.id: len(a.boxes) for a in dataset.splits[split]}
        for name in folder.list(file).read_text().split():
            written = folder.xml(name).read_text().count("<name>") if folder.xml(name).exists() else 0
            missing = 1 if name not in used else written - used[name]
            assert named[name] >= missing, name


def test_a_note_counts_what_check_names(tmp_path: Path) -> None:
    folder = dirty(tmp_path)
    counts = Counter(defect.kind for defect in checked(folder.root))
    notes = open_dataset(DetectionData(path=str(folder.root))).notes
    expected = {kind: counts[kind] for kind in MET if counts[kind]}
    assert sorted(int(note.split()[0]) for note in notes) == sorted(expected.values())
    for kind, count in expected.items():
        assert any(note.startswith(f"{count} {MET[kind][count > 1]}: ") for note in notes), kind


def test_an_empty_split_and_a_missing_list_are_named(tmp_path: Path) -> None:
    folder = sound(tmp_path)
    folder.list("val").write_text("\n")
    folder.list("test").unlink()
    found = [(d.kind, d.where) for d in checked(folder.root) if d.kind != "image in no split"]
    assert found == [("empty split", "validation"), ("missing list", "ImageSets/Main/test.txt")]


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_image_is_unreadable(tmp_path: Path, suffix: str) -> None:
    folder = sound(tmp_path)
    replace("train-3", lambda picture: picture, suffix)(folder)
    data = folder.image("train-3", suffix).read_bytes()
    folder.image("train-3", suffix).write_bytes(data[: len(data) * 2 // 3])
    assert [(d.kind, d.where) for d in checked(folder.root) if d.severity == "error"] == [
        ("unreadable image", "train-3")
    ]


def test_damage_that_only_decoding_finds_is_named(tmp_path: Path) -> None:
    folder = sound(tmp_path)
    data = bytearray(folder.image("train-3").read_bytes())
    data[len(data) // 2] ^= 0xFF
    folder.image("train-3").write_bytes(data)
    assert [(d.kind, d.where) for d in checked(folder.root)] == [("unreadable image", "train-3")]


def test_progress_ends_at_the_number_of_images(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    check(read_layout(sound(tmp_path).root), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 30) for done in range(1, 31)]


def test_the_grave_ones_come_first(tmp_path: Path) -> None:
    severities = [d.severity for d in checked(dirty(tmp_path).root)]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    assert {*severities} == {"error", "warning", "note"}


def test_no_kind_has_two_severities() -> None:
    assert not WARNINGS & NOTES
    assert not ERRORS & (WARNINGS | NOTES)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        checked(tmp_path / "nowhere")
    with pytest.raises(DataError, match="photo-digits is composed by ablab and has no folder"):
        checked(Path("photo-digits"))


def test_bccd_has_two_boxes_without_area_and_one_image_twice(bccd: Path) -> None:
    """BloodImage_00037 and _00038 show the same field of view, moved a little; looked at by eye."""
    assert sorted((d.severity, d.kind, d.where) for d in checked(bccd)) == [
        ("error", "box without area", "BloodImage_00338"),
        ("error", "box without area", "BloodImage_00343"),
        ("warning", "near-duplicate in two splits", "BloodImage_00037"),
    ]


def test_photo_digits_written_out_has_no_error_and_no_copies(tmp_path: Path) -> None:
    """Scenes share a few photographs and must not be called copies of each other for it."""
    dataset = open_dataset(DetectionData(path="photo-digits", size=96, scenes=(60, 20, 20)))
    folder = VocFolder(tmp_path)
    for split, name in (("train", "train"), ("validation", "val"), ("test", "test")):
        for a in dataset.splits[split]:
            folder.image(a.id).write_bytes(a.path.read_bytes())
            boxes = tuple((dataset.classes[label], *box) for label, box in zip(a.labels, a.boxes.tolist(), strict=True))
            folder.xml(a.id).write_text(annotation(boxes, (a.width, a.height)))
            folder.enter(name, a.id)
    found = checked(folder.root)
    assert [d for d in found if d.severity == "error"] == []
    assert {d.kind for d in found} <= {"class with few boxes", "tiny box", "class missing from a split"}
