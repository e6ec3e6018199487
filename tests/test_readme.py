"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from ablab import registry, testing
from ablab.cli import app
from ablab.config import parse, parse_yaml
from ablab.recipe import Edit
from ablab.study import spec
from ablab.study.design import arms

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, holds: str) -> str:
    """The fenced block of a language that holds some text."""
    found = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if holds in text]
    assert len(found) == 1, f"{len(found)} blocks hold {holds!r}"
    return str(found[0])


def test_the_study_is_valid() -> None:
    study = spec.build(parse_yaml(block("yaml", "baseline:"), "README"), "README", ROOT)
    assert [arm.name for arm in arms(study)] == ["baseline", "frelu", "cbam", "focal", "a/a", "placebo/cbam"]


def test_every_edit_that_is_shown_is_valid() -> None:
    shown = re.findall(r"(?m)^\| `(\{op: .*?\})` \|", README)
    edits = [parse(Edit, parse_yaml(text, "README"), "README") for text in shown]
    assert {edit.op for edit in edits} == {"replace", "insert", "convert", "wrap", "remove"}
    assert all(registry.get(edit.part) for edit in edits if edit.part)


def test_the_part_keeps_its_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "my_parts.py"
    file.write_text(block("python", "TanhExp"), encoding="utf-8")
    registry.names("activation")
    monkeypatch.setattr(registry, "_parts", dict(registry._parts))
    registry.load_plugins([file])
    testing.check_part("activation", "tanhexp")


def test_the_python_door_has_what_is_used() -> None:
    import ablab

    used = set(re.findall(r"ablab\.(\w+)\(", block("python", "import ablab\n"))) | {"surgery"}
    assert used <= set(ablab.__all__)
    assert ablab.__all__ == sorted(ablab.__all__)
    assert all(hasattr(ablab, name) for name in ablab.__all__)


def test_scores_from_elsewhere_are_compared_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example.py").write_text(block("python", "from ablab import compare"), encoding="utf-8")
    runpy.run_path(str(tmp_path / "example.py"))
    assert "helps" in capsys.readouterr().out
    assert (tmp_path / "report.html").is_file()


def test_every_verb_that_is_named_exists() -> None:
    verbs = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    named = set(re.findall(r"(?m)^    ablab (\w+)", README)) | set(re.findall(r"`ablab (\w+)", README))
    assert named
    assert named <= verbs


def test_the_pictures_are_there_and_nothing_is_left_to_fill_in() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target
    assert "DEMO_" not in README
