"""What the page says of looks, a confirmation, and designs that combine changes."""

import json

import designed
import pytest
from test_report_html import Page

from ablab import reports
from ablab.reports import factorial, looks, sentences

LOOKS = {"max": 12, "looks": [5, 8, 12]}
CONFIRMED = {
    "seeds": [12, 13, 14, 15, 16],
    "notes": ["b is left out of the stack: it did not help"],
    "bias": {"arms": 4, "seeds": 5, "in_sd": 0.4603, "points": 0.0386},
    "arms": [
        {
            "arm": "a",
            "role": "winner",
            "against": "baseline",
            "study_effect": 0.054,
            "effect": 0.049,
            "simultaneous": [0.04, 0.058],
            "shrinkage": 0.005,
            "kept": 0.907,
            "verdict": "helps",
        }
    ],
}


def drawn(folder):
    view = reports.read(folder)
    return view, Page(reports.as_page(view)).text


def test_every_look_is_listed_and_stopped_arms_wait_for_nothing(tmp_path):
    view, found = drawn(designed.write(tmp_path / "s", "one-at-a-time", 4, LOOKS))
    assert view.waiting() == []
    assert len(looks.looks(view)["table"].rows) == len(view.looks)
    assert "Looks after 5, 8 and 12 seeds were declared before the first run" in found["looks"]
    assert "there is no p-value" in found["method"]
    assert "p (Holm)" not in found["verdicts"]
    assert "over all arms and looks" in found["verdicts"]
    assert "up to 12 seeds" in found[""]


def test_a_study_between_two_looks_is_not_finished(tmp_path):
    folder = designed.write(tmp_path / "s", "one-at-a-time", 4, LOOKS, 1)
    rows = json.loads((folder / "looks.json").read_text())
    rows[-1]["outcome"] = "goes on"
    (folder / "looks.json").write_text(json.dumps(rows))
    view, found = drawn(folder)
    assert {(arm.name, seed) for arm, seed in view.waiting()} == {
        (name, seed) for name in ("baseline", rows[-1]["arm"]) for seed in (5, 6, 7)
    }
    assert "Not finished, what a look decided stands" in found[""]
    assert "What may be concluded" not in found["verdicts"]


def test_fresh_seeds_stand_beside_the_study(tmp_path):
    folder = designed.write(tmp_path / "s", "one-at-a-time", 4)
    view, found = drawn(folder)
    assert "Whoever picks the best of these 4" in found["verdicts"]
    assert "confirmation" not in found
    (folder / "confirm.json").write_text(json.dumps(CONFIRMED))
    view, found = drawn(folder)
    assert sentences.curse(view) == ""
    assert looks.confirmed(view)["table"].rows == [
        ("a (winner)", ["baseline", "+0.054", "+0.049", "[+0.040, +0.058]", "+0.005 (kept 91%)", "helps"])
    ]
    assert "fresh seeds (12, 13, 14, 15 and 16), which chose nothing" in found["confirmation"]
    assert "b is left out of the stack" in found["confirmation"]
    (folder / "confirm.json").write_text(json.dumps(CONFIRMED | {"arms": []}))
    assert "nobody looks at it" in drawn(folder)[1]["confirmation"]


def test_a_factorials_main_effects_carry_the_verdicts(tmp_path):
    view, found = drawn(designed.write(tmp_path / "s", "factorial", 3))
    assert [arm.name for arm in view.questions] == ["a", "b", "c"]
    assert "Of 3 changes" in found[""]
    assert "averaged over the arms with and without the other changes" in found["verdicts"]
    assert "a+b" not in found["verdicts"]
    assert "Descriptive: the main effects carry the verdicts" in found["design"]
    assert "a * b" in found["design"]
    drawings = factorial.interactions(view)
    assert [drawing.title for drawing in drawings] == ["a × b", "a × c", "b × c"]
    assert "Predicted from each change alone" in found["design"]


def test_an_interaction_panel_shows_the_means_of_its_cells(tmp_path):
    view = reports.read(designed.write(tmp_path / "s", "factorial", 2))
    cells = {arm.name: view.judged_scores(arm) for arm in view.arms}
    levels = factorial._levels(view.arms, cells, ("a", "b"), view.seeds)
    assert levels[True, True] == list(cells["a+b"].values())
    assert levels[False, False] == list(cells["baseline"].values())


def test_what_is_aliased_is_named_and_not_drawn(tmp_path):
    view, found = drawn(designed.write(tmp_path / "s", "factorial", 6))
    assert "is aliased with" in found["design"]
    assert "Interactions" not in found["design"]
    assert factorial.interactions(view) == []


@pytest.mark.parametrize(("design", "said"), [("stack", "compared with +a"), ("leave-one-out", "compared with full")])
def test_an_arm_that_stands_against_another_says_so(tmp_path, design, said):
    _, found = drawn(designed.write(tmp_path / "s", design, 3))
    assert said in found["findings"]
    assert "against " + said.split()[-1] in found["verdicts"]
