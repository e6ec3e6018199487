"""VOC folders: what is read as it stands, what is left out, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from voc_folder import HEIGHT, WIDTH, VocFolder, annotation, clean

from ablab.errors import DataError
from ablab.tasks.detection.formats.layouts.settle import judge
from ablab.tasks.detection.formats.layouts.voc import read_voc

BOMB = """<?xml version="1.0"{encoding}?>
<!DOCTYPE bomb [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<annotation><object><name>&b;</name></object></annotation>"""


def kinds(folder: VocFolder) -> list[tuple[str, str]]:
    return [(defect.kind, defect.where) for defect in read_voc(folder.root).defects]


def test_a_clean_folder_is_read_as_written(tmp_path: Path) -> None:
    voc = read_voc(clean(tmp_path).root)
    assert voc.defects == ()
    assert voc.classes == ("cat", "dog")
    assert {split: [a.id for a in found] for split, found in voc.splits.items()} == {
        "train": ["a", "b"],
        "validation": ["c"],
        "test": ["d"],
    }
    first, empty = voc.splits["train"]
    np.testing.assert_array_equal(first.boxes, [[1, 2, 11, 12], [5, 5, 20.5, 25]])
    np.testing.assert_array_equal(first.labels, [1, 0])
    assert (first.width, first.height) == (WIDTH, HEIGHT)
    assert empty.boxes.shape == (0, 4)
    assert empty.labels.shape == (0,)
    assert voc.splits["test"][0].difficult.tolist() == [True]
    assert not first.difficult.any()


def test_the_right_and_lower_border_of_one_based_files_is_inside(tmp_path: Path) -> None:
    assert judge((1, 1, WIDTH, HEIGHT), WIDTH, HEIGHT) == ""
    assert judge((1, 1, WIDTH + 1, HEIGHT), WIDTH, HEIGHT) == "box partly outside"


def test_parts_of_an_object_are_no_objects(tmp_path: Path) -> None:
    """VOC annotates a person's head and hands inside the person."""
    folder = clean(tmp_path)
    inner = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></part>"
    text = annotation((("dog", 1, 2, 11, 12),), (WIDTH, HEIGHT)).replace("<object>", f"<object>{inner}")
    folder.xml("a").write_text(text)
    voc = read_voc(folder.root)
    assert voc.classes == ("dog",)
    np.testing.assert_array_equal(voc.splits["train"][0].boxes, [[1, 2, 11, 12]])


def test_a_class_is_one_that_train_can_learn(tmp_path: Path) -> None:
    """`emu` has only a box without area in train: nobody can learn it, and test may not ask for it."""
    folder = clean(tmp_path)
    folder.add("train", "e", ("emu", 5, 5, 5, 9))
    folder.add("test", "f", ("emu", 5, 5, 8, 9), ("Dog", 1, 1, 4, 4))
    assert read_voc(folder.root).classes == ("cat", "dog")
    assert kinds(folder) == [("box without area", "e"), ("unknown class", "f"), ("unknown class", "f")]
    assert "did you mean 'dog'?" in read_voc(folder.root).defects[-1].detail


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_entity_bomb_is_refused(tmp_path: Path, encoding: str) -> None:
    folder = clean(tmp_path)
    folder.xml("a").write_bytes(BOMB.format(encoding=f' encoding="{encoding}"').encode(encoding))
    voc = read_voc(folder.root)
    assert [(d.kind, d.where) for d in voc.defects if d.where == "a"] == [("broken annotation", "a")]
    assert "<!DOCTYPE" in voc.defects[0].detail
    assert [a.id for a in voc.splits["train"]] == ["b"]


@pytest.mark.parametrize("size", [(0, 0), None])
def test_a_size_that_says_nothing_is_no_defect(tmp_path: Path, size: tuple[int, int] | None) -> None:
    folder = clean(tmp_path)
    folder.add("train", "e", ("dog", 1, 1, 4, 4), size=size)
    assert kinds(folder) == []


def test_swapped_sides_are_a_size_that_differs(tmp_path: Path) -> None:
    """As after a rotation by EXIF: the boxes belong to the picture as shown, not as stored."""
    folder = clean(tmp_path)
    folder.add("train", "e", ("dog", 1, 1, 4, 4), size=(HEIGHT, WIDTH))
    assert kinds(folder) == [("size differs", "e")]
    assert "annotated as 30 x 40, but the image is 40 x 30" in read_voc(folder.root).defects[0].detail


def test_lists_may_have_a_mark_blanks_and_windows_line_ends(tmp_path: Path) -> None:
    folder = clean(tmp_path)
    folder.list("train").write_bytes(b"\xef\xbb\xbfa\r\n\r\n b \r\n")
    assert [a.id for a in read_voc(folder.root).splits["train"]] == ["a", "b"]
    assert kinds(folder) == []


def test_a_list_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    folder = clean(tmp_path)
    folder.list("val").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(DataError, match=r"val\.txt.*one image id a line"):
        read_voc(folder.root)


def test_another_layout_is_told_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match=r"no JPEGImages and no Annotations.*Expected JPEGImages/<id>\.jpg"):
        read_voc(tmp_path)
    clean(tmp_path / "VOCdevkit" / "VOC2007")
    with pytest.raises(DataError, match=r"did you mean .*VOCdevkit/VOC2007\?"):
        read_voc(tmp_path)


corner = st.floats(-60, 100, allow_subnormal=False)


@given(st.tuples(corner, corner, corner, corner))
def test_a_box_that_is_kept_has_area_inside_the_image(box: tuple[float, float, float, float]) -> None:
    x1, y1, x2, y2 = box
    sides = min(x2, WIDTH) - max(x1, 0), min(y2, HEIGHT) - max(y1, 0)
    kind = judge(box, WIDTH, HEIGHT)
    assert (kind in ("", "box partly outside")) == (min(sides) > 0)
    assert (kind == "") == (0 <= x1 < x2 <= WIDTH and 0 <= y1 < y2 <= HEIGHT)


@given(st.binary(max_size=200))
def test_any_bytes_for_an_annotation_are_at_most_a_defect(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = clean(tmp_path_factory.mktemp("voc"))
    folder.xml("b").write_bytes(data)
    assert {name for _, name in kinds(folder)} <= {"b"}


def test_bccd_has_its_official_counts(bccd: Path) -> None:
    voc = read_voc(bccd)
    assert {split: len(found) for split, found in voc.splits.items()} == {"train": 205, "validation": 87, "test": 72}
    assert voc.classes == ("Platelets", "RBC", "WBC")
    labels = np.concatenate([a.labels for found in voc.splits.values() for a in found])
    assert np.bincount(labels).tolist() == [361, 4155 - 2, 372]  # two RBC have no area
    assert sorted((d.kind, d.where) for d in voc.defects) == [
        ("box without area", "BloodImage_00338"),
        ("box without area", "BloodImage_00343"),
    ]


def test_without_lists_every_image_and_annotation_is_in_all(tmp_path: Path) -> None:
    folder = clean(tmp_path)
    for split in ("train", "val", "test"):
        folder.list(split).unlink()
    folder.xml("b").unlink()
    folder.image("c").unlink()
    layout = read_voc(folder.root)
    assert {split: [a.id for a in found] for split, found in layout.splits.items()} == {"all": ["a", "d"]}
    assert kinds(folder) == [("missing annotation", "b"), ("missing image", "c")]


def test_a_class_list_beside_it_counts(tmp_path: Path) -> None:
    folder = clean(tmp_path)
    (tmp_path / "classes.txt").write_text("emu\ndog\n")
    layout = read_voc(folder.root)
    assert layout.classes == ("emu", "dog")
    assert layout.splits["train"][0].labels.tolist() == [1]
    assert [(d.kind, d.where) for d in layout.defects] == [("unknown class", "a"), ("unknown class", "c")]
    assert layout.defects[0].detail.startswith("the class list lacks 'cat'")


def test_what_the_standard_has_no_room_for(tmp_path: Path) -> None:
    folder = clean(tmp_path)
    text = folder.xml("a").read_text()
    text = text.replace("</size>", "</size><group>slide 7</group>")
    text = text.replace("<bndbox>", "<crowd>1</crowd><area>55.5</area><bndbox>", 1)
    folder.xml("a").write_text(text)
    first = read_voc(folder.root).splits["train"][0]
    assert first.crowd.tolist() == [True, False]
    assert first.area is not None
    assert first.area.tolist() == [55.5, 15.5 * 20]
    assert first.group == "slide 7"


def test_images_are_found_whatever_the_case_of_their_suffix(tmp_path: Path) -> None:
    folder = clean(tmp_path)
    folder.image("a").rename(folder.image("a", ".PnG"))
    assert kinds(folder) == []
    assert read_voc(folder.root).splits["train"][0].path.name == "a.PnG"


def test_shares_instead_of_pixels_are_named(tmp_path: Path) -> None:
    folder = clean(tmp_path)
    folder.add("train", "e", ("dog", 0.1, 0.2, 0.6, 0.7))
    assert kinds(folder) == [("wrong units", "e")]
    assert read_voc(folder.root).defects[0].detail == (
        "dog at 0.1, 0.2, 0.6, 0.7 in an image of 40 x 30: it looks like shares of the image's width and height"
    )
