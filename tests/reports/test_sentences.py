import math
from dataclasses import replace

import pytest

from ablab.reports import sentences
from ablab.stats import Population, Verdict

HELPS = Verdict(
    arm="x",
    verdict="helps",
    qualifiers=("by at least 0.01", "screening: n < 5"),
    n=3,
    effect=0.031,
    sd=0.002,
    interval=(0.02, 0.04),
    simultaneous=(0.012, 0.05),
    equivalence=(0.02, 0.04),
    p=0.001,
    p_holm=0.004,
    p_sign_flip=None,
    pairing=0.9,
    fresh_seeds=None,
    differences={0: 0.031},
)


def with_verdict(view, verdict, name="frelu"):
    arms = tuple(replace(arm, verdict=verdict) if arm.name == name else arm for arm in view.arms)
    changed = replace(view, arms=arms)
    return changed, next(arm for arm in arms if arm.name == name)


def test_a_win_in_words(golden):
    view, arm = with_verdict(golden, HELPS)
    assert sentences.finding(replace(view, label="screening"), arm) == (
        "helps: +0.031 AP, 95% simultaneous interval [+0.012, +0.050], p = 0.004 (Holm) (by at least 0.01). "
        "On new images from the same source, too: [+0.024, +0.040] (95%, this arm alone)."
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Population((0.01, 0.05), (0.0, 0.06), (-0.004, 0.066), 60), "is not shown: there the interval is [−0.004, +0"),
        (
            Population((0.01, 0.05), (-9, 9), (-9, 9), 6, "6 groups"),
            "Whether it holds on new images is not known: 6 gr",
        ),
        (None, "(by at least 0.01)."),
    ],
)
def test_a_win_on_these_images_is_no_win_on_new_ones(golden, found, said):
    view, arm = with_verdict(golden, HELPS)
    text = sentences.finding(replace(view, label="screening"), replace(arm, population=found))
    assert said in text
    assert "from the same source, too" not in text


def test_what_may_be_concluded_names_every_arm_once(golden):
    assert sentences.conclusion(golden) == (
        "Trained again under new seeds and judged on these same validation images, this baseline scores better with "
        "frelu (+0.028 to +0.036 AP), scores worse with no-mosaic (−0.077 to −0.047 AP) and scores about the same with "
        "eca (within ±0.01); nothing may be concluded about cbam and lr-times-10, not even that there is no effect."
    )


def test_what_is_not_known_is_not_concluded(golden):
    open_size = replace(HELPS, simultaneous=(-0.001, 0.05), qualifiers=("Holm only",))
    view, _ = with_verdict(golden, open_size)
    assert "better with frelu (by how much is open)" in sentences.conclusion(view)
    undecided = tuple(replace(a, verdict=a.verdict and replace(a.verdict, verdict="undecided")) for a in golden.arms)
    assert sentences.conclusion(replace(golden, arms=undecided)).startswith("Nothing may be concluded about frelu, ")
    assert sentences.conclusion(replace(golden, judged=False)) == ""
    assert sentences.conclusion(replace(golden, seeds=(*golden.seeds, 5))) == ""  # goes on


def test_an_arm_is_told_with_what_it_was_compared_with(golden):
    view, arm = with_verdict(golden, replace(HELPS, against="eca"))
    assert sentences.finding(view, arm).startswith("helps, compared with eca: +0.031 AP")
    assert "better with frelu than with eca (" in sentences.conclusion(view)
    view, arm = with_verdict(golden, replace(HELPS, verdict="equivalent", against="eca"))
    assert sentences.finding(view, arm).startswith("is equivalent to eca: ")


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (7, 21, "a fresh study would need 7 to 21 seeds"),
        (9, 9, "a fresh study would need 9 seeds"),
        (40, 200, "a fresh study would need 40 seeds or more"),
        (200, 200, "a fresh study would need 200 seeds or more"),
    ],
)
def test_an_undecided_arm_says_what_would_decide_it(golden, low, high, text):
    undecided = replace(HELPS, verdict="undecided", qualifiers=(), fresh_seeds=(low, high))
    view, arm = with_verdict(golden, undecided)
    assert sentences.needed(undecided) == text
    said = sentences.finding(view, arm)
    assert said.startswith("is undecided: ")
    assert said.endswith(f". {text[0].upper()}{text[1:]}.")


def test_an_equivalent_arm_shows_the_interval_that_made_it_so(golden):
    view, arm = with_verdict(golden, replace(HELPS, verdict="equivalent", qualifiers=(), equivalence=(-0.004, 0.006)))
    assert "90% interval [−0.004, +0.006] inside ±0.01" in sentences.finding(view, arm)


def test_a_false_alarm_in_a_control_is_called_one(golden):
    view, arm = with_verdict(golden, HELPS, "a/a")
    assert "false alarm" in sentences.finding(view, arm)
    _, quiet = with_verdict(golden, replace(HELPS, verdict="undecided"), "a/a")
    assert "nothing was found" in sentences.finding(view, quiet)


def test_a_control_that_answers_a_change_raises_no_alarm(golden):
    view, arm = with_verdict(golden, HELPS, "a/a")
    said = sentences.finding(view, replace(arm, name="placebo/cbam", because="cbam has to beat it"))
    assert said.endswith("It is a control: cbam has to beat it.")


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_seeds_for_an_interval(golden, n):
    nothing = replace(
        HELPS, verdict="undecided", qualifiers=(), n=n, simultaneous=(-math.inf, math.inf), p_holm=math.nan
    )
    view, arm = with_verdict(golden, nothing)
    said = sentences.finding(view, arm)
    assert ("no interval" if n else "no seed has a score") in said
    assert "nan" not in said
    assert "inf" not in said


def test_the_overview_counts_changes_and_not_controls(golden):
    assert sentences.overview(golden) == (
        "Of 5 changes, 1 helps, 1 hurts, 1 is equivalent to the baseline and 2 are undecided."
    )
    single = replace(golden, arms=golden.arms[:2])
    assert sentences.overview(single) == "The one change helps."
    assert sentences.overview(replace(golden, judged=False)) == (
        "No verdicts yet. 33 of 35 runs are done, 2 failed or diverged."
    )
    assert sentences.overview(replace(golden, arms=(golden.arms[0], golden.arms[-1]))) == "10 of 10 runs are done."


def test_the_screening_label_is_explained_where_it_stands(golden):
    view = replace(golden, label="screening", seeds=(0, 1, 2))
    assert any(note.startswith("screening: 3 seeds can show large effects only") for note in sentences.notes(view))
    assert not any(note.startswith("screening") for note in sentences.notes(golden))
    few = [replace(arm, verdict=arm.verdict and replace(arm.verdict, n=4)) for arm in golden.arms]
    lost = replace(golden, label="screening", arms=tuple(few))  # five seeds, of which each arm has lost one
    assert any(note.startswith("screening: 4 seeds can show") for note in sentences.notes(lost))


def test_spread():
    assert sentences.spread({}) == "–"
    assert sentences.spread({0: 0.5}) == "0.500"
    assert sentences.spread({0: 0.5, 1: 0.6}) == "0.550 ± 0.071"  # sd of two: the difference over the root of two
