"""What `ablab diagnose` prints, line by line, and at any width."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from ablab.reports import diagnosis

GOLDEN = Path(__file__).parent / "golden"


def printed(document, width, page=""):
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    for each in diagnosis.as_tables(document, page):
        console.print(each)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


@pytest.fixture
def document():
    return json.loads((GOLDEN / "diagnosis.json").read_text("utf-8"))


def test_the_golden_diagnosis_is_printed_as_it_was(document):
    assert printed(document, 100, "runs/x/diagnosis/diagnosis.html") == (GOLDEN / "diagnosis-100.txt").read_text(
        "utf-8"
    )


@pytest.mark.parametrize("width", [60, 80, 200])
def test_nothing_is_wider_than_the_terminal(document, width):
    assert max(map(len, printed(document, width).splitlines())) <= width


def test_a_name_in_brackets_is_no_markup(document):
    document["findings"][0]["sentence"] = "[red]class[/red] [/]"
    document["name"] = "[bold]"
    found = printed(document, 100)
    assert "[red]class[/red] [/]" in found
    assert "[bold]" in found


@pytest.mark.parametrize("key", ["name", "seed", "split", "scores", "findings", "proposals", "chapters", "notes"])
@pytest.mark.parametrize("value", [None, [None], {"x": None}, "text"])
def test_any_field_may_be_missing(document, key, value):
    assert printed(document | {key: value}, 80)


def test_nothing_found_is_said():
    assert "Nothing was found that calls for a change." in printed({}, 80)
