from dataclasses import replace

import pytest

from ablab.reports import method


def test_what_was_declared_is_named(golden):
    text = " ".join(method.paragraphs(replace(golden, alpha=0.1, direction="min", smallest_interesting=0.25)))
    for said in ("alpha = 0.1", "90% intervals", "80% interval", "±0.25", "lower is better", "5 seeds", "validation"):
        assert said in text, said


def test_it_is_never_said_that_ablab_trained_what_it_did_not(golden):
    text = " ".join(method.paragraphs(replace(golden, folder=None)))
    assert "ablab did not train these networks" in text
    assert "same order of images" not in text
    assert "before the first run" not in text
    unpaired = " ".join(method.paragraphs(replace(golden, folder=None, paired=False)))
    assert "Welch" in unpaired
    assert "paired t-test" not in unpaired


def test_dunnett_says_what_it_assumes(golden):
    arms = tuple(replace(a, verdict=a.verdict and replace(a.verdict, p_dunnett=0.01)) for a in golden.arms)
    view = replace(golden, arms=arms)
    text = " ".join([method.coverage(view), *method.paragraphs(view)])
    assert "noise that is assumed to be equal in every arm" in text
    assert "Holm" not in text
    assert "Bonferroni" not in text


def test_the_coverage_says_what_is_not_covered(golden):
    assert method.coverage(golden) == (
        "Intervals are 95% simultaneous (Bonferroni, over all arms) and cover new seeds on these same validation "
        "images, not new images."
    )


def test_one_run_has_no_noise_floor(golden):
    base = golden.baseline
    view = replace(golden, arms=(replace(base, runs={0: base.runs[0]}), *golden.compared))
    assert method.noise(view) == ""


@pytest.mark.parametrize(("count", "said"), [(20, "about 1 would"), (18, "about 0.9 would"), (120, "about 6 would")])
def test_luck_among_many_intervals_is_counted(golden, count, said):
    assert said in method.chances(count, golden)


def test_those_that_did_not_survive_are_named(golden):
    assert "lr-times-10 also diverged" in method.survivors(golden)
    assert method.survivors(replace(golden, arms=golden.arms[:2])) == ""


def test_one_reason_is_told_once(golden):
    few, none = "4 groups of images: fewer than 10", "no images"
    reasons = dict(zip((arm.name for arm in golden.compared), [few, none, few], strict=False))
    arms = tuple(
        replace(a, population=a.population and replace(a.population, refused=reasons.get(a.name, "")))
        for a in golden.arms
    )
    first, second, third = [arm.name for arm in golden.compared][:3]
    assert method.unseen(replace(golden, arms=arms)) == [
        f"{first} and {third}: no interval over images. {few}.",
        f"{second}: no interval over images. {none}.",
    ]


def test_whose_training_was_shared_is_told(golden):
    assert method.shared(golden) == []
    taken = {golden.compared[1].name, golden.compared[2].name}
    arms = tuple(
        replace(
            arm,
            runs={s: replace(run, record=replace(run.record, trained_by="baseline")) for s, run in arm.runs.items()},
        )
        if arm.name in taken
        else arm
        for arm in golden.arms
    )
    (said,) = method.shared(replace(golden, arms=arms))
    assert said.startswith(f"{golden.compared[1].name} and {golden.compared[2].name}: trained once with baseline")
