"""From changes to arms, and what names a run."""

from __future__ import annotations

from tiny_study import tiny

from ablab.config import fingerprint, override
from ablab.study.design import arms, run_fingerprint, study_fingerprint


def test_one_at_a_time_is_baseline_changes_controls() -> None:
    study = tiny(
        changes=[
            {"name": "focal", "set": {"loss.classification": "focal"}},
            {"name": "frelu", "edits": [{"op": "replace", "of": "silu", "part": "frelu", "within": "backbone.*"}]},
        ]
    )
    made = arms(study)
    assert [(arm.name, arm.kind) for arm in made] == [
        ("baseline", "baseline"),
        ("focal", "change"),
        ("frelu", "change"),
        ("a/a", "control"),
    ]
    assert made[1].differences == ("loss.classification.part: bce -> focal",)
    assert made[2].differences == ("replace silu by frelu within backbone.*",)
    assert made[2].recipe == study.baseline


def test_only_a_control_has_streams_of_its_own() -> None:
    streams = {arm.name: arm.stream for arm in arms(tiny())}
    assert streams == {"baseline": "tiny", "cbam": "tiny", "a/a": "tiny#a/a"}


def test_a_run_is_named_by_all_that_could_change_it_and_nothing_else() -> None:
    arm = arms(tiny())[0]
    name = run_fingerprint(arm, 0, "m", "p", "1")

    def other(**changes: object) -> str:
        return run_fingerprint(arms(tiny())[0].__class__(**(vars(arm) | changes)), 0, "m", "p", "1")

    assert name == other()
    assert name == other(recipe=override(arm.recipe, {"data.path": "elsewhere", "train.workers": 2}))
    assert name != other(recipe=override(arm.recipe, {"optimizer.lr": 0.1}))
    assert name != other(stream="else")
    assert len({name, *(run_fingerprint(arm, *rest) for rest in ((1, "m", "p", "1"), (0, "n", "p", "1")))}) == 3
    assert len({name, *(run_fingerprint(arm, *rest) for rest in ((0, "m", "q", "1"), (0, "m", "p", "2")))}) == 3


def test_the_judge_is_part_of_a_study_and_the_recipe_is_not() -> None:
    frozen = study_fingerprint(tiny())
    assert frozen != study_fingerprint(tiny(judge={"metric": "AP50", "smallest_interesting": 0.05, "alpha": 0.1}))
    assert frozen != study_fingerprint(tiny(seeds=3))
    assert frozen != study_fingerprint(tiny(controls=[]))
    assert frozen != study_fingerprint(
        tiny(judge={"metric": "AP50", "smallest_interesting": 0.05, "method": "dunnett"})
    )


def test_a_study_frozen_before_a_key_was_known_is_still_the_same() -> None:
    """Its judge had neither `group` nor `method`, and its seeds were a tuple."""
    judge = {"metric": "AP50", "direction": "max", "smallest_interesting": 0.05, "alpha": 0.05, "split": "validation"}
    judge |= {"on_divergence": 0.0, "noise": None}
    before = fingerprint(["tiny", judge, "one-at-a-time", ["baseline", "cbam", "a/a"], (0, 1)])
    assert study_fingerprint(tiny()) == before
