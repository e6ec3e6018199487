"""Tables about a data set, as a terminal shows them."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group

from ablab.reports.listings import class_table, defect_summary, defect_table


def lines(*shown: Any) -> list[str]:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(Group(*shown))
    return [" ".join(line.split()) for line in capture.get().splitlines() if line.strip(" ─")]


def defects(*wheres: str, kind: str = "tiny box", severity: str = "warning") -> list[dict[str, str]]:
    return [{"kind": kind, "severity": severity, "where": where, "detail": f"at {where}"} for where in wheres]


def test_a_summary_has_a_row_a_kind_with_the_first_places_each_once() -> None:
    rows = [*defects("a", "a", "b", "c", "d"), *defects("[bold]x", kind="EXIF rotation", severity="note")]
    assert lines(defect_summary(rows)) == [
        "defect count where",
        "warning tiny box 5 a, b, c, ...",
        "note EXIF rotation 1 [bold]x",
    ]


def test_a_table_shows_so_many_of_each_kind_and_counts_the_rest() -> None:
    rows = [*defects("a", "b", "c"), *defects("d", kind="thin box"), *defects("e")]
    assert lines(*defect_table(rows, 2)) == [
        "defect where what",
        "tiny box a at a",
        "tiny box b at b",
        "thin box d at d",
        "2 more of these kinds: --all shows them, --json lists them",
    ]
    assert len(lines(*defect_table(rows))) == 6


def test_classes_by_split() -> None:
    none = {"images": 0, "boxes": 0, "size": None}
    rows = [{"class": "dog", "train": {"images": 1200, "boxes": 3456, "size": [20.4, 31.0]}, "test": none}]
    shown = lines(class_table(rows, ["train", "test"]))
    assert [*shown[:2], " ".join(shown[2:])] == [
        "class train test",
        "dog 3,456 in 1,200, 20 x 31 -",
        "boxes in images, median width x height in pixels",
    ]


def test_many_splits_leave_the_sizes_out() -> None:
    found = {"images": 2, "boxes": 3, "size": [20.4, 31.0]}
    rows = [{"class": "dog"} | dict.fromkeys("abcde", found)]
    shown = lines(class_table(rows, [*"abcde"]))
    assert shown == ["class a b c d e", "dog " + " ".join(["3 in 2"] * 5), "boxes in images"]
