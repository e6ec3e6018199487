"""`ablab parts` and `ablab parts show` at the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from ablab import registry
from ablab.cli import app
from ablab.cli.parts.listing import cited, milliseconds

BROKEN = """
from torch import nn
from ablab import register

@register("attention", "halving")
class Halving(nn.Module):
    def forward(self, x):
        raise ValueError("not today")
"""


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a test registers stays in the test, and so do its files."""
    for slot in registry.SLOTS:
        registry.names(slot)
    monkeypatch.setattr(registry, "_parts", dict(registry._parts))
    monkeypatch.chdir(tmp_path)


def parts(*arguments: object, width: int = 80) -> tuple[int, str, str]:
    done = CliRunner().invoke(
        app, ["parts", *map(str, arguments)], env={"COLUMNS": str(width), "NO_COLOR": "1", "TERM": "dumb"}
    )
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def document(*arguments: object) -> Any:
    return json.loads(parts(*arguments, "--json")[1])


@pytest.mark.parametrize("width", [80, 120, 160])
def test_a_slot_fits_the_terminal(width: int) -> None:
    code, said, _ = parts("attention", width=width)
    lines = said.splitlines()
    assert code == 0
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("attention  forward in evaluation, map of 1 x 64 x 32 x 32")
    assert lines[1].split() == [*(["part", "paper"] if width >= 110 else ["part"]), "param.", "FLOPs", "ms"]
    starts = [line.split()[0] for line in lines[2:] if line[:1].strip() and not line.startswith("ms:")]
    assert starts[: len(registry.names("attention"))] == registry.names("attention")
    assert "arXiv 1807.06521" in said
    (row,) = (line for line in lines if line.startswith("se "))
    assert row.split()[-4:-1] == ["580", "1.02", "k"]
    assert "1 thread" in said or "threads" in said


def test_a_slot_without_maps_shows_no_flops() -> None:
    _, said, _ = parts("box_loss", width=120)
    assert said.splitlines()[0] == "box_loss  forward and backward, 1,000 pairs of boxes"
    assert said.splitlines()[1].split() == ["part", "paper", "ms"]
    assert "flat" not in said.splitlines()[1]


def test_list_is_the_verb_that_may_be_left_out() -> None:
    for arguments in (["sampler"], ["list", "sampler"]):
        found = document(*arguments)
        assert list(found["slots"]) == ["sampler"]
        assert {part["name"] for part in found["slots"]["sampler"]["parts"]} == set(registry.names("sampler"))


def test_json_has_everything() -> None:
    found = document("activation")
    assert found["machine"]["threads"]
    assert found["slots"]["activation"]["measured"] == "forward in evaluation, map of 1 x 64 x 32 x 32"
    (frelu,) = (part for part in found["slots"]["activation"]["parts"] if part["name"] == "frelu")
    assert frelu["cost"]["parameters"] == 64 * 9 + 2 * 64
    assert frelu["cost"]["flops"] == 2 * 9 * 64 * 32 * 32
    assert frelu["cost"]["ms"] > 0
    assert frelu["paper"].startswith("https://")
    assert [each["name"] for each in frelu["arguments"]] == ["channels"]


def test_a_plugin_stands_among_the_others_and_one_that_fails_says_so(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BROKEN)
    code, said, _ = parts("--plugin", "mine.py", "attention", width=120)
    (row,) = (line for line in said.splitlines() if line.startswith("halving"))
    assert code == 0
    assert row.split()[-1] == "fails"
    assert "give it a docstring" in row


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["activatoin"], "did you mean 'activation'"),
        (["show", "cbamm"], "did you mean 'cbam'"),
        (["show", "torch.nn:CELU"], "which slot is torch.nn:CELU for?"),
        (["show", "attention/frelu"], "unknown attention 'frelu'"),
        (["show", "cbam", "--plugin", "absent.py"], "no plug-in file"),
    ],
)
def test_a_mistake_is_a_line(arguments: list[str], said: str) -> None:
    code, out, error = parts(*arguments)
    assert (code, out) == (2, "")
    assert said in error


def test_show_prints_the_part_and_draws_it() -> None:
    code, said, _ = parts("show", "cbam")
    lines = said.splitlines()
    assert code == 0
    assert max(map(len, lines)) <= 80
    assert lines[0] == "attention/cbam"
    assert "A gate a channel, then a gate a place" in said
    assert "paper    https://arxiv.org/abs/1807.06521" in said
    assert "use      edits: [{op: insert, after: backbone.out, part: cbam}]" in said
    assert any(line.split() == ["kernel_size", "7"] for line in lines)
    for shape in ("1 x 64 x 80 x 80", "1 x 128 x 40 x 40", "1 x 256 x 20 x 20"):
        assert f"map of {shape}" in said
    assert lines[-1] == "picture  cbam.png"
    with Image.open("cbam.png") as image:
        assert image.size[0] == 1440


def test_show_takes_any_class_and_any_place_for_the_picture() -> None:
    found = document("show", "torch.nn:CELU", "--slot", "activation", "--out", "drawn/celu.png")
    assert found["picture"] == "drawn/celu.png"
    assert Path("drawn/celu.png").is_file()
    assert found["costs"][0]["measured"] == "forward in evaluation, map of 1 x 64 x 80 x 80"
    assert found["name"] == "torch.nn:CELU"


def test_show_of_a_part_that_fails_sends_to_check(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BROKEN)
    code, _, error = parts("show", "halving", "--plugin", "mine.py")
    assert code == 2
    assert "halving cannot be drawn: ValueError: not today; `ablab check FILE` says more" in error


@pytest.mark.parametrize("verb", [[], ["list"], ["show"]])
def test_help_has_examples(verb: list[str]) -> None:
    code, said, _ = parts(*verb, "--help")
    assert code == 0
    assert "ablab parts attention" in said or "ablab parts show cbam" in said


def test_papers_and_numbers_are_short() -> None:
    assert cited("https://arxiv.org/abs/1910.03151").plain == "arXiv 1910.03151"
    assert cited("https://doi.org/10.1038/323533a0").plain == "doi 10.1038/323533a0"
    assert cited("https://github.com/x/y").plain == "github.com/x/y"
    assert [milliseconds(ms) for ms in (None, 0.126, 9.994, 14.44, 250.4)] == ["–", "0.13", "9.99", "14.4", "250"]
