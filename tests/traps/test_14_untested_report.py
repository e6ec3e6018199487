"""Trap 14: the report itself is untested. So its text is held to golden records, and shown to move with its input."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))
import golden_study

TEXTS = ["report.csv", "report.md", "runs.csv", "table-120.txt", "table-80.txt"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return golden_study.texts(golden_study.build(tmp_path_factory.mktemp("trap") / "study"))


@pytest.mark.parametrize("name", TEXTS)
def test_the_report_is_the_golden_one(drawn: dict[str, str], name: str) -> None:
    expected = (golden_study.GOLDEN / name).read_text()
    assert drawn[name] == expected, "draw anew with `python tests/reports/golden_study.py` if the change is meant"


@pytest.mark.parametrize(
    ("field", "value", "changed"),
    [
        ("verdict", "undecided", {"report.csv", "report.md", "table-80.txt", "table-120.txt"}),
        ("effect", 0.0425, {"report.csv", "report.md", "table-80.txt", "table-120.txt"}),
        ("simultaneous", [0.0, 0.1], {"report.csv", "report.md", "table-80.txt", "table-120.txt"}),
        ("p_holm", 0.0321, {"report.csv", "report.md", "table-80.txt", "table-120.txt"}),
    ],
)
def test_every_figure_that_decides_reaches_every_report(
    drawn: dict[str, str], tmp_path: Path, field: str, value: object, changed: set[str]
) -> None:
    folder = golden_study.build(tmp_path / "study")
    document = json.loads((folder / "verdicts.json").read_text())
    document["arms"][0][field] = value
    (folder / "verdicts.json").write_text(json.dumps(document))
    other = golden_study.texts(folder)
    assert {name for name in TEXTS if other[name] != drawn[name]} == changed
