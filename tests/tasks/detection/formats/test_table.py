"""CSV tables: headers of every kind, no header, other delimiters, and what is wrong with a row."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_files import HEIGHT, WIDTH, boxes_of, kinds, picture, text

from ablab.errors import DataError
from ablab.tasks.detection.formats.layouts.table import read_table

DOG = [1, 2, 11, 12]


def table(root: Path, content: str, name: str = "boxes.csv") -> Path:
    for image in "abc":
        picture(root / f"{image}.png")
    return text(root / name, content)


@pytest.mark.parametrize(
    "content",
    [
        "image,xmin,ymin,xmax,ymax,class\na.png,1,2,11,12,dog\nb.png,,,,,\n",
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,40,30,dog,1,2,11,12\nb.png,40,30,,,,,\n",
        "image_id,Label,x1,y1,x2,y2,score\na,dog,1,2,11,12,1\nb,,,,,,\n",
        "a.png,1,2,11,12,dog\nb.png,,,,,\n",
        "b.png,,,,,\na.png,1,2,11,12,dog\n",
        "image;left;top;right;bottom;name\na.png;1,0;2,0;11,0;12,0;dog\nb.png;;;;;\n",
        "file_name\tx_min\ty_min\tx_max\ty_max\tlabel\na.png\t1\t2\t11\t12\tdog\nb.png\t\t\t\t\t\n",
        "path|x|y|w|h|category\na.png|1|2|10|10|dog\nb.png|||||\n",
        "img,x,y,width,height,class\na.png,1,2,10,10,dog\nb.png,,,,,\n",
        "image,bbox_x,bbox_y,bbox_width,bbox_height,width,height,class\na.png,1,2,10,10,40,30,dog\nb.png,,,,,40,30,\n",
        '\ufeff"image","xmin","ymin","xmax","ymax","class"\r\n"a.png",1,2,11,12,"dog"\r\n"b.png",,,,,""\r\n\r\n',
        "image,xmin,ymin,xmax,ymax,class\n./a.png,1,2,11,12,dog\n/home/x/b.png,,,,,\n",
        "image,xmin,ymin,xmax,ymax,class\nA.PNG,1,2,11,12,dog\nimages\\b.png,,,,,\n",
    ],
)
def test_every_usual_form_says_the_same(tmp_path: Path, content: str) -> None:
    file = table(tmp_path, content)
    for path in (file, tmp_path):
        layout = read_table(path)
        assert layout.defects == ()
        assert (layout.kind, layout.classes) == ("csv", ("dog",))
        assert boxes_of(layout, "all") == {"a": [("dog", DOG)], "b": []}


def test_every_column_is_kept(tmp_path: Path) -> None:
    table(
        tmp_path,
        "image,xmin,ymin,xmax,ymax,class,split,difficult,crowd,area,group\n"
        "a.png,1,2,11,12,dog,train,1,0,,slide 1\n"
        "a.png,2.5,2,11,12.25,cat,train,0,True,55.5,slide 1\n"
        "b.png,1,2,11,12,dog,val,0,0,,\n"
        "c.png,,,,,,testing,,,,\n",
    )
    layout = read_table(tmp_path)
    assert {split: [a.id for a in found] for split, found in layout.splits.items()} == {
        "train": ["a"],
        "validation": ["b"],
        "test": ["c"],
    }
    (first,) = layout.splits["train"]
    assert boxes_of(layout, "train") == {"a": [("dog", DOG), ("cat", [2.5, 2, 11, 12.25])]}
    assert first.difficult.tolist() == [True, False]
    assert first.crowd.tolist() == [False, True]
    assert first.area is not None
    assert first.area.tolist() == [100, 55.5]
    assert first.group == "slide 1"


def test_a_file_for_each_split(tmp_path: Path) -> None:
    header = "filename,xmin,ymin,xmax,ymax,class\n"
    for split, side in (("train", 40), ("valid", 50)):
        picture(tmp_path / "roboflow" / split / "x.png", width=side)
        text(tmp_path / "roboflow" / split / "_annotations.csv", f"{header}x.png,1,2,11,12,dog\n")
        table(tmp_path, f"{header}{'a' if split == 'train' else 'b'}.png,1,2,11,12,dog\n", f"{split}.csv")
    text(tmp_path / "classes.csv", "dog,0\n")
    for path, widths in ((tmp_path, [40, 40]), (tmp_path / "roboflow", [40, 50])):
        layout = read_table(path)
        assert layout.defects == ()
        assert [a.width for a in layout.splits["train"] + layout.splits["validation"]] == widths


def test_names_in_any_script_and_a_class_list(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "sn\u00f6 \u96ea.png")
    text(tmp_path / "classes.txt", "\u732b\nfox\n\u72ac\n")
    text(
        tmp_path / "boxes.csv",
        "image,xmin,ymin,xmax,ymax,class\nsno\u0308 \u96ea.png,1,2,11,12,\u72ac\nsn\u00f6 \u96ea.png,3,3,9,9,cow\n",
    )
    layout = read_table(tmp_path)
    assert layout.classes == ("\u732b", "fox", "\u72ac")
    assert boxes_of(layout, "all") == {"sn\u00f6 \u96ea": [("\u72ac", DOG)]}
    assert kinds(layout) == [("unknown class", "sn\u00f6 \u96ea")]
    assert layout.defects[0].detail.startswith("the class list lacks 'cow'; valid: fox")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("gone.png,1,2,11,12,dog", ("missing image", "gone")),
        (",1,2,11,12,dog", ("broken object", "boxes.csv, line 3")),
        ("b.png,1,2,11,,dog", ("broken object", "b")),
        ("b.png,1,2,wide,12,dog", ("broken object", "b")),
        ("b.png,1,2,11,12,", ("broken object", "b")),
        ("b.png,1,2", ("broken object", "b")),
        ("b.png,nan,2,11,12,dog", ("broken object", "b")),
        ("b.png,11,2,1,12,dog", ("inverted box", "b")),
        ("b.png,0.1,0.2,0.5,0.9,dog", ("wrong units", "b")),
    ],
)
def test_what_is_wrong_with_a_row_is_a_defect(tmp_path: Path, row: str, expected: tuple[str, str]) -> None:
    table(tmp_path, f"image,xmin,ymin,xmax,ymax,class\na.png,1,2,11,12,dog\n{row}\n")
    layout = read_table(tmp_path)
    assert kinds(layout) == [expected]
    assert boxes_of(layout, "all")["a"] == [("dog", DOG)]


def test_a_size_that_differs_is_named(tmp_path: Path) -> None:
    table(tmp_path, "image,width,height,xmin,ymin,xmax,ymax,class\na.png,30,40,1,2,11,12,dog\n")
    assert kinds(read_table(tmp_path)) == [("size differs", "a")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty; expected a header with image"),
        ("\n\n", "is empty"),
        ("image,label\na.png,dog\n", "has no column for x1, y1, x2, y2; expected"),
        ("xmin,ymin,xmax,ymax,class\n1,2,3,4,dog\n", "has no column for image"),
        ("image,xmin,ymin,xmax,ymax\na.png,1,2,3,4\n", "has no column for class"),
        ("image,xmin,ymin,xmax,ymax,class,split\na.png,1,2,3,4,dog,trian\n", r"line 2: 'trian' is no split; .*'train'"),
        (
            "image,xmin,ymin,xmax,ymax,class,split\na.png,1,2,3,4,dog,train\nb.png,1,2,3,4,dog,\n",
            "some rows name a split",
        ),
        (f"image,xmin,ymin,xmax,ymax,class\n{'x' * 200_000},1,2,3,4,dog\n", "field larger than"),
        ("x" * 200_000, "boxes.csv"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_by_name(tmp_path: Path, content: str, words: str) -> None:
    file = table(tmp_path, content)
    with pytest.raises(DataError, match=words):
        read_table(file)


def test_a_table_in_another_encoding_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_bytes("image,xmin,ymin,xmax,ymax,class\na.png,1,2,3,4,M\xfccke\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"boxes\.csv.*in UTF-8"):
        read_table(tmp_path / "boxes.csv")


cells = st.sampled_from(["a.png", "b.png", "x", "", "1", "-5", "12.5", "1e400", "dog", '"', "nan", "1,5", "\x00", "\r"])


@given(st.lists(st.lists(cells, max_size=7), max_size=5), st.booleans())
def test_any_rows_are_a_layout_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], header: bool
) -> None:
    root = tmp_path_factory.getbasetemp() / "any-table"
    opened = io.StringIO()
    csv.writer(opened).writerows([["image", "x1", "y1", "x2", "y2", "class"]] * header + rows)
    file = table(root, opened.getvalue())
    try:
        layout = read_table(file)
    except DataError:
        return
    for annotation in layout.splits.get("all", ()):
        assert ((annotation.boxes >= 0) & (annotation.boxes <= [WIDTH, HEIGHT, WIDTH, HEIGHT])).all()
