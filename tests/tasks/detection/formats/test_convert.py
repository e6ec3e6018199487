"""Converting: whole or not at all, what cannot be kept is said, and what was written is proved."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from voc_folder import VocFolder, clean, dirty

from ablab.errors import ConfigError, DataError, StoreError, UnknownName
from ablab.tasks.detection.formats import convert as module
from ablab.tasks.detection.formats.compare import difference
from ablab.tasks.detection.formats.convert import convert
from ablab.tasks.detection.formats.layouts.recognise import read_layout
from ablab.tasks.detection.formats.photo_digits import compose
from ablab.tasks.detection.formats.writing import WRITERS
from ablab.tasks.detection.recipe import DetectionData

KINDS = tuple(WRITERS)


@pytest.fixture
def folder(tmp_path: Path) -> VocFolder:
    return clean(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_data_set_becomes_another_and_is_counted(folder: VocFolder, tmp_path: Path, kind: str) -> None:
    seen: list[tuple[str, int, int]] = []
    done = convert(folder.root, tmp_path / "new" / "out", kind, progress=lambda *step: seen.append(step))
    before = read_layout(folder.root)
    assert done.root == tmp_path / "new" / "out"
    assert done.counts == {s: (len(a), sum(len(i.labels) for i in a)) for s, a in before.splits.items()}
    total = sum(map(len, before.splits.values()))
    assert seen == [("write images", n, total) for n in range(1, total + 1)]
    assert difference(before, read_layout(done.root)) == ""
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["out"]


def test_an_image_is_a_link_or_a_copy_as_asked(folder: VocFolder, tmp_path: Path) -> None:
    inode = folder.image("a").stat().st_ino
    for link in (True, False):
        root = convert(folder.root, tmp_path / str(link), "voc", link).root
        image = root / "JPEGImages" / "a.png"
        assert (image.stat().st_ino == inode) == link
        assert image.read_bytes() == folder.image("a").read_bytes()


def test_a_copy_where_no_link_can_be(folder: VocFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    root = convert(folder.root, tmp_path / "out", "csv").root
    assert (root / "images" / "a.png").read_bytes() == folder.image("a").read_bytes()


def test_of_a_link_its_file_is_linked(folder: VocFolder, tmp_path: Path) -> None:
    folder.image("a").rename(tmp_path / "elsewhere.png")
    folder.image("a").symlink_to(tmp_path / "elsewhere.png")
    image = convert(folder.root, tmp_path / "out", "voc").root / "JPEGImages" / "a.png"
    assert not image.is_symlink()
    assert image.samefile(tmp_path / "elsewhere.png")


def test_an_empty_folder_may_be_there_and_a_full_one_not(folder: VocFolder, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert read_layout(convert(folder.root, tmp_path / "empty", "yolo").root).kind == "yolo"
    with pytest.raises(ConfigError, match="exists and is not empty"):
        convert(folder.root, tmp_path / "empty", "voc")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="exists and is not empty"):
        convert(folder.root, tmp_path / "file", "voc")


def test_whatever_breaks_off_leaves_nothing(folder: VocFolder, tmp_path: Path) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    (tmp_path / "new").mkdir()
    with pytest.raises(KeyboardInterrupt):
        convert(folder.root, tmp_path / "new" / "out", "coco", progress=interrupt)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_killed_conversion_leaves_no_folder_and_the_next_one_works(folder: VocFolder, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from ablab.tasks.detection.formats.convert import convert\n"
        "kill = lambda what, done, total: os.kill(os.getpid(), signal.SIGKILL) if done == 2 else None\n"
        "convert(sys.argv[1], Path(sys.argv[2]), 'coco', progress=kill)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(folder.root), str(tmp_path / "out")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    left = list(tmp_path.glob(".out-writing-*"))
    assert len(left) == 1
    os.utime(left[0], (0, 0))  # abandoned long ago
    convert(folder.root, tmp_path / "out", "coco")
    assert not left[0].exists()


def test_a_full_disk_is_said_and_leaves_nothing(
    folder: VocFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(StoreError, match="No space left on device; nothing was left there"):
        convert(folder.root, tmp_path / "out", "voc", link=False)
    assert not (tmp_path / "out").exists()


def test_what_training_works_around_is_said(tmp_path: Path) -> None:
    notes = convert(_without_shared_ids(dirty(tmp_path)), tmp_path / "out", "yolo").notes
    assert any("box without area was left out: flat" in note for note in notes), notes
    assert any("could not be read" in note or "unreadable" in note or "left out" in note for note in notes)


def _without_shared_ids(folder: VocFolder) -> Path:
    train = set(folder.list("train").read_text().split())
    for split in ("val", "test"):
        names = [name for name in folder.list(split).read_text().split() if name not in train]
        folder.list(split).write_text("\n".join(names))
    return folder.root


def test_what_voc_states_beyond_boxes_is_named_as_left_behind(folder: VocFolder, tmp_path: Path) -> None:
    assert convert(folder.root, tmp_path / "plain", "yolo").notes == ()
    text = folder.xml("a").read_text()
    extra = "<pose>Frontal</pose><truncated>0</truncated><part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    folder.xml("a").write_text(text.replace("</bndbox>", "</bndbox>" + extra, 1))
    folder.xml("b").write_text(folder.xml("b").read_text().replace("</bndbox>", "</bndbox><pose>Unspecified</pose>"))
    (note,) = convert(folder.root, tmp_path / "out", "yolo").notes
    assert note == "not kept, since not all layouts have a place for it: pose (1), part (1)"


def test_what_coco_states_beyond_boxes_is_named_as_left_behind(folder: VocFolder, tmp_path: Path) -> None:
    root = convert(folder.root, tmp_path / "coco", "coco").root
    anew = "COCO's numbers of images, annotations and categories are given anew"
    assert convert(root, tmp_path / "plain", "coco").notes == (anew,)
    file = root / "annotations" / "instances_train.json"
    document = json.loads(file.read_text())
    document["annotations"][0] |= {"segmentation": [[1, 1, 5, 1, 5, 5]], "keypoints": [1, 1, 2]}
    document["images"][0]["license"] = 3
    file.write_text(json.dumps(document))
    notes = convert(root, tmp_path / "out", "csv").notes
    assert notes == (
        "not kept, since not all layouts have a place for it: license of images (1), segmentation of annotations (1), "
        "keypoints of annotations (1)",
        anew,
    )
    assert convert(file, tmp_path / "one", "csv").counts.keys() == {"all"}


def test_an_image_in_two_splits_is_refused(folder: VocFolder, tmp_path: Path) -> None:
    folder.enter("test", "a")
    with pytest.raises(DataError, match=r"1 image \(a\) in two splits; take them out of one"):
        convert(folder.root, tmp_path / "out", "coco")


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_that_leads_out_is_refused(folder: VocFolder, tmp_path: Path, kind: str) -> None:
    folder.image("a").rename(folder.root / "out.png")
    folder.xml("a").rename(folder.root / "out.xml")
    folder.list("train").write_text(folder.list("train").read_text().replace("a", "../out", 1))
    assert "../out" in {image.id for image in read_layout(folder.root).splits["train"]}
    with pytest.raises(DataError, match=r"the id '../out' leads out of the data set"):
        convert(folder.root, tmp_path / "deep" / "new", kind)
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_data_set_without_images_is_refused(tmp_path: Path) -> None:
    empty = VocFolder(tmp_path / "empty")
    with pytest.raises(DataError, match="no image that can be used"):
        convert(empty.root, tmp_path / "out", "coco")


def test_an_unknown_layout_names_the_valid_ones(folder: VocFolder, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown layout 'yol'; did you mean 'yolo'"):
        convert(folder.root, tmp_path / "out", "yol")


@pytest.mark.parametrize("name", ["group", "box", "class", "image", "flag"])
def test_what_does_not_read_back_the_same_is_not_left(
    folder: VocFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A writer that forgets something is found out."""

    def forgetful(layout: object, root: Path, put: object) -> None:
        WRITERS["voc"](layout, root, put)  # type: ignore[arg-type]
        file = root / "Annotations" / "a.xml"
        before = file.read_text()
        after = {
            "group": before.replace("<size>", "<group>g</group><size>"),
            "box": before.replace("<xmin>", "<xmin>0.001"),
            "class": before.replace("dog", "cat"),
            "image": before,
            "flag": before.replace("<difficult>0", "<difficult>1"),
        }[name]
        file.write_text(after)
        if name == "image":
            file.unlink()

    monkeypatch.setattr(module, "WRITERS", {"voc": forgetful})
    with pytest.raises(StoreError, match=r"cannot be written as voc without loss: .* became .*; nothing was left at"):
        convert(folder.root, tmp_path / "out", "voc")
    assert not (tmp_path / "out").exists()


def test_photo_digits_comes_in_a_standard_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = DetectionData(scenes=(3, 2, 1))
    monkeypatch.setattr(module, "compose", lambda data, progress: compose(few, progress))
    done = convert("photo-digits", tmp_path / "digits", "yolo")
    assert {split: images for split, (images, _) in done.counts.items()} == {"train": 3, "validation": 2, "test": 1}
    back = read_layout(tmp_path / "digits")
    classes, splits = compose(few)
    assert back.classes == tuple(classes)
    assert [a.group for a in back.splits["train"]] == [a.group for a in splits["train"]]
