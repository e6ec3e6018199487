import io
import json
from dataclasses import replace

import designed
import pytest
from rich.console import Console

from ablab import reports


def printed(view, width, **options):
    console = Console(width=width, file=io.StringIO(), **options)
    console.print(reports.Summary(view))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 116, 120, 160])
def test_the_table_fits_and_nothing_is_cut(golden, width):
    text = printed(golden, width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text
    for whole in ("lr-times-10", "equivalent", "[−0.605, +0.378]", "<0.001", "0.545", "1.80 M", "1.12 G", "16.9"):
        assert whole in text, whole


def test_colour_is_never_the_only_sign(golden):
    colourful = printed(golden, 120, force_terminal=True, color_system="standard")
    assert "\x1b[1;32mhelps" in colourful
    assert "\x1b[1;31mhurts" in colourful
    assert "\x1b" not in printed(golden, 120)


def test_what_an_undecided_arm_needs_stands_under_the_table(golden):
    assert "cbam is undecided: a fresh study would need 12 to 84 seeds" in printed(golden, 120)


def test_a_name_is_text_and_never_markup(study):
    document = json.loads((study / "study.json").read_text())
    document["arms"].append({"name": "[red]x[/red]", "kind": "change", "because": "", "diff": []})
    (study / "study.json").write_text(json.dumps(document))
    assert "[red]x[/red]" in printed(reports.read(study), 120)


def test_columns_of_cost_stand_only_where_a_cost_is_known(golden):
    bare = replace(golden, arms=tuple(replace(arm, plan={}, runs={}) for arm in golden.arms))
    assert "FLOPs" in printed(golden, 120)
    assert "FLOPs" not in printed(bare, 120)
    assert "param" not in printed(bare, 80)


@pytest.mark.parametrize("name", ["frelu-cbam-focal", "change_net-with-squeeze-inside-every-block"])
def test_a_long_name_is_folded_and_no_column_is_lost(golden, name):
    longer = [replace(arm, name=name if arm.kind == "change" else arm.name) for arm in golden.arms]
    text = printed(replace(golden, arms=tuple(longer)), 80)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    for whole in ("param.", "train", "1.80 M", "1.12 G", "16.9"):
        assert whole in text


def test_a_factorial_answers_with_its_main_effects_and_lists_its_arms_apart(tmp_path):
    view = reports.read(designed.write(tmp_path, "factorial", 2))
    arms = printed(view, 80)
    assert arms.index("main effect") < arms.index("baseline")
    for arm in view.arms:
        assert arm.name in arms
    assert "descriptive" not in arms  # the cells' own verdicts stand in the report
    for question in view.questions:
        assert question.verdict.verdict in arms


def test_a_rung_says_what_it_is_compared_with(tmp_path):
    text = printed(reports.read(designed.write(tmp_path, "stack", 3)), 80)
    assert text.count("against +") == 2  # the first stands against the baseline
