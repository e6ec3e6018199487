"""`ablab check` walked through: what a user's own part can do wrong, and the sentence that says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ablab import registry
from ablab.cli import app

HEAD = "import torch\nfrom torch import nn\nfrom ablab import register\n\n"
GOOD = HEAD + (
    '@register("activation", "tanhexp")\n'
    "class TanhExp(nn.Module):\n"
    "    def forward(self, x):\n"
    "        return x * x.clamp(max=20).exp().tanh()\n"
)


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a test registers stays in the test; the broken parts can be imported by name."""
    for slot in registry.SLOTS:
        registry.names(slot)
    monkeypatch.setattr(registry, "_parts", dict(registry._parts))
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "surgery"))
    monkeypatch.chdir(tmp_path)


def check(*arguments: str, width: int = 80) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["check", *arguments], env={"COLUMNS": str(width), "NO_COLOR": "1"})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, "\n".join(line.rstrip() for line in done.stdout.splitlines()), done.stderr


def document(*arguments: str) -> Any:
    return json.loads(check(*arguments, "--json")[1])


def broken(*arguments: str) -> dict[str, dict[str, str]]:
    (part,) = document(*arguments)["parts"]
    return {each["promise"]: each for each in part["promises"] if not each["kept"]}


GOLDEN = {
    "Shrink": """
broken_parts:Shrink  keeps 5 of 6 promises of its slot
  ✗ shape kept
      tried  Odd sizes, one place alone, in training and in evaluation.
      came   (2, 64, 7, 5) became (2, 64, 6, 5)
      do     pad so that the shape is kept
  ✓ finite  Standard normal numbers give no NaN and no inf, in training and in …
  ✓ gradient goes on  What stands before the part learns through it: its input …
  ✓ gradient reaches every parameter  Some number of every parameter gets a gra…
  ✓ one sample does not depend on its batch  In evaluation mode a sample alone …
  ✓ every argument counts  Some other value of each argument changes output, gr…""",
    "Crash": """
broken_parts:Crash  keeps 1 of 6 promises of its slot
  ✗ shape kept
      tried  Odd sizes, one place alone, in training and in evaluation.
      came   it failed with RuntimeError: Given groups=1, weight of size [64,
             65, 1, 1], expected input[2, 64, 7, 5] to have 65 channels, but got
             64 channels instead
      at     broken_parts.py, line NN: return self.conv(x)
      do     the slot 'attention' calls part(x) with a map (B, C, H, W), and
             takes back one of that shape
  ✗ finite  as 'shape kept'
  ✗ gradient goes on  as 'shape kept'
  ✗ gradient reaches every parameter  as 'shape kept'
  ✗ one sample does not depend on its batch  as 'shape kept'
  ✓ every argument counts  Some other value of each argument changes output, gr…""",
    "swallow": """
broken_parts:swallow  keeps 0 of 1 promises of its slot
  ✗ built without arguments
      tried  What the host does not supply has a default, or declared
             alternatives.
      came   it takes **kwargs, which would swallow a typo
      do     name each argument""",
}


@pytest.mark.parametrize("part", GOLDEN)
def test_the_page_reads_so(part: str) -> None:
    code, said, _ = check("--part", f"broken_parts:{part}", "--slot", "attention")
    line = next((i for i, text in enumerate(source(), 1) if "return self.conv(x)" in text), 0)
    assert said == GOLDEN[part].replace("NN", str(line))
    assert code == 1


def source() -> list[str]:
    return (Path(__file__).parents[1] / "surgery" / "broken_parts.py").read_text().splitlines()


@pytest.mark.parametrize(
    ("part", "promise", "came", "advice"),
    [
        ("Overflow", "finite", "gave NaN or inf", "division by 0"),
        ("Detached", "gradient goes on", "no gradient reaches its input", "drop the detach"),
        ("Idle", "gradient reaches every parameter", "no gradient reaches unused", "use or drop it"),
        ("BatchBound", "one sample does not depend on its batch", "a sample changes by", "use running statistics"),
        ("Deaf", "every argument counts", "its argument 'window' changes nothing: 3 and 4", "use or drop it"),
        ("not_a_module", "shape kept", "makes a builtin_function_or_method", "subclass nn.Module"),
    ],
)
def test_each_fault_is_named_with_what_to_do(part: str, promise: str, came: str, advice: str) -> None:
    found = broken("--part", f"broken_parts:{part}", "--slot", "attention")
    assert came in found[promise]["came"]
    assert advice in found[promise]["advice"]
    assert found[promise]["tried"]
    if part != "not_a_module":
        assert list(found) == [promise]


def test_a_sound_part_is_sound_in_both_ways(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(GOOD)
    code, said, _ = check("mine.py")
    assert (code, said.splitlines()[1]) == (0, "activation/tanhexp  keeps 9 of 9 promises of its slot")
    assert said.count("✓") == 9
    assert check("--part", "torch.nn:CELU", "--slot", "activation")[0] == 0
    assert check("--part", "frelu")[0] == 0


def test_a_file_of_several_parts_answers_for_each(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        GOOD + '@register("activation", "half")\nclass Half(nn.Module):\n'
        "    def forward(self, x):\n        return x[..., ::2]\n"
    )
    found = document("mine.py")
    assert [(part["name"], part["kept"]) for part in found["parts"]] == [("half", False), ("tanhexp", True)]
    assert found["failures"] == ["activation/half"]


def test_a_default_that_is_missing_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        HEAD + '@register("activation", "needy")\nclass Needy(nn.Module):\n'
        "    def __init__(self, mode):\n        super().__init__()\n"
    )
    (found,) = broken("mine.py").values()
    assert found["came"] == "its argument 'mode' has no default, so nothing can be checked"
    assert "alternatives={'mode': [some, values]}" in found["advice"]


@pytest.mark.parametrize(
    ("slot", "forward", "hint"),
    [
        ("activation", "boxes, targets):\n        return (boxes - targets).abs().sum(1)", "every promise of box_loss:"),
        ("class_loss", "x):\n        return x.tanh()", "activation, attention and norm: is it meant for one of these"),
    ],
)
def test_a_part_in_the_wrong_slot_is_sent_to_the_right_one(slot: str, forward: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        HEAD + f'@register("{slot}", "lost")\nclass Lost(nn.Module):\n    def forward(self, {forward}\n'
    )
    code, said, _ = check("mine.py", width=160)
    assert code == 1
    assert hint in said.split("hint")[1]
    assert f"the slot '{slot}' calls part(" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:\n", "line 1 (def f(:): SyntaxError"),
        ("\nimport no_such_thing\n", "line 2 (import no_such_thing): ModuleNotFoundError"),
        (HEAD + "x = 1 / 0\n", "line 5 (x = 1 / 0): ZeroDivisionError"),
        (HEAD + '@register("atention", "x")\nclass X(nn.Module): ...\n', "unknown slot 'atention'"),
        (HEAD + '@register("atention", "x")\nclass X(nn.Module): ...\n', "did you mean 'attention'"),
        (HEAD + '@register("activation", "frelu")\nclass X(nn.Module): ...\n', "activation/frelu is taken by ablab"),
        (HEAD + '@register("activation", "x")\ndef x(**kwargs): ...\n', "may not take **kwargs, which would swallow"),
        (HEAD + "class Squash(nn.Module): ...\n", "though it defines Squash; write @register('activation', 'squash')"),
        ("", "registers no part; write @register"),
    ],
)
def test_a_file_that_says_nothing_usable_is_a_mistake_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(text)
    code, out, error = check("mine.py")
    assert (code, out) == (2, "")
    assert said in error
    assert "mine.py" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected either a file of parts or --part"),
        (["x.py", "--part", "frelu"], "expected either a file of parts or --part"),
        (["absent.py"], "no plug-in file absent.py"),
        (["x.py", "--slot", "activation"], "--slot belongs to --part"),
        (["--part", "torch.nn:CELU"], "which slot is torch.nn:CELU for? --slot activation, attention"),
        (["--part", "torch.nn:CELU", "--slot", "activatoin"], "did you mean 'activation'"),
        (["--part", "torch.nn:CELLU", "--slot", "activation"], "did you mean 'CELU'"),
        (["--part", "no_such_package:X", "--slot", "activation"], "is the package installed?"),
        (["--part", "math:pi", "--slot", "activation"], "math:pi is float, expected a class or a function"),
        (["--part", "frel"], "did you mean 'frelu'"),
    ],
)
def test_a_call_that_names_nothing_to_check_is_a_mistake(arguments: list[str], said: str) -> None:
    code, _, error = check(*arguments)
    assert code == 2
    assert said in error
