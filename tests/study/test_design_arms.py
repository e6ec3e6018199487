"""Designs: which arms, with which changes, compared with what; and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_study import tiny

from ablab.errors import ConfigError
from ablab.study.design import arms, study_fingerprint
from ablab.study.spec import only

CBAM = {
    "name": "cbam",
    "because": "where to look",
    "edits": [{"op": "insert", "after": "backbone.out", "part": "cbam"}],
}
FRELU = {"name": "frelu", "edits": [{"op": "replace", "of": "silu", "part": "frelu", "within": "backbone.*"}]}
FOCAL = {"name": "focal", "set": {"loss.classification": "focal"}}
SLOW = {"name": "slow", "set": {"optimizer.lr": 1e-4}}
LONG = {"name": "long", "set": {"train.epochs": 2}}
PLAIN = {"name": "plain", "set": {"augment.mosaic": 0.0}}
THREE = [CBAM, FRELU, FOCAL]


def made(design: str, changes: list[dict[str, Any]], controls: Any = ()) -> list[tuple[str, str, str, tuple[str, ...]]]:
    study = tiny(changes=changes, controls=list(controls), design=design)
    return [(arm.name, arm.kind, arm.against, arm.changes) for arm in arms(study)[1:]]


def test_leave_one_out() -> None:
    assert made("leave-one-out", THREE) == [
        ("full", "change", "baseline", ("cbam", "frelu", "focal")),
        ("without/cbam", "change", "full", ("frelu", "focal")),
        ("without/frelu", "change", "full", ("cbam", "focal")),
        ("without/focal", "change", "full", ("cbam", "frelu")),
    ]


def test_stack() -> None:
    assert made("stack", THREE) == [
        ("+cbam", "change", "baseline", ("cbam",)),
        ("+frelu", "change", "+cbam", ("cbam", "frelu")),
        ("+focal", "change", "+frelu", ("cbam", "frelu", "focal")),
    ]


def test_full_factorial_in_standard_order() -> None:
    names = ["cbam", "frelu", "cbam+frelu", "focal", "cbam+focal", "frelu+focal", "cbam+frelu+focal"]
    found = made("factorial", THREE)
    assert [name for name, *_ in found] == names
    assert {(kind, against) for _, kind, against, _ in found} == {("cell", "baseline")}
    assert ["+".join(changes) for *_, changes in found] == names


@pytest.mark.parametrize(("count", "sizes"), [(5, {2, 4}), (6, {2, 3, 4, 6})])
def test_a_fraction_has_sixteen_arms_with_the_baseline(count: int, sizes: set[int]) -> None:
    """In the half I = -ABCDE every arm has an even number of changes; 2^(6-2) has its words' complements."""
    found = made("factorial", [*THREE, SLOW, LONG, PLAIN][:count])
    assert len(found) == 15
    assert {len(changes) for *_, changes in found} <= sizes
    assert all(sum(f"{n}" in changes for *_, changes in found) == 8 for n in ("cbam", "frelu", "focal", "slow", "long"))


def test_an_arm_has_all_settings_and_edits_in_the_order_written() -> None:
    full = arms(tiny(changes=[SLOW, FRELU, FOCAL, CBAM], controls=[], design="leave-one-out"))[1]
    assert full.recipe.optimizer.lr == 1e-4
    assert [str(edit) for edit in full.edits] == [
        "replace silu by frelu within backbone.*",
        "insert cbam after backbone.out",
    ]
    assert "loss.classification.part: bce -> focal" in full.differences


@pytest.mark.parametrize(
    ("design", "changes", "said"),
    [
        ("stack", [CBAM], "design: stack combines changes, and the study has 1"),
        ("factorial", [{"name": f"c{n}", "set": {"train.epochs": n + 2}} for n in range(9)], "8 changes at most, .* 9"),
        (
            "stack",
            [SLOW, {"name": "fast", "set": {"optimizer.lr": 0.1}}],
            "'slow' and 'fast' .* both set 'optimizer.lr'",
        ),
        (
            "factorial",
            [FOCAL, {"name": "bce", "set": {"loss.classification.part": "bce"}}],
            "'focal' and 'bce' .* set 'loss.classification' and 'loss.classification.part'",
        ),
        (
            "factorial",
            [SLOW, LONG, {"name": "slow+long", "set": {"train.batch": 2}}],
            "two arms would be called 'slow\\+long'",
        ),
        ("leave-one-out", [{"name": "x" * 200, "set": {"train.batch": 2}}, SLOW], "shorter names"),
    ],
)
def test_what_cannot_be_combined_is_refused(design: str, changes: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        made(design, changes)


def test_settings_that_are_valid_alone_and_not_together_name_the_two() -> None:
    stop = {"name": "stop", "set": {"train.early_stopping": {}, "train.validate_every": 1}}
    average = {"train.swa": {}, "train.checkpoint": "swa", "train.ema": None, "train.epochs": 8}
    with pytest.raises(ConfigError, match=r"changes 'stop' and 'swa' collide when combined: .*before swa is done"):
        made("leave-one-out", [SLOW, stop, {"name": "swa", "set": average}])


def test_a_control_that_answers_a_change_wants_an_arm_of_it_alone() -> None:
    assert ("a/a", "control", "baseline", ()) in made("stack", THREE, ["a/a"])
    assert ("placebo/cbam", "control", "baseline", ()) in made("factorial", THREE, [{"placebo": "cbam"}])
    with pytest.raises(ConfigError, match="placebo/cbam answers what cbam does alone, and this leave-one-out design"):
        made("leave-one-out", THREE, [{"placebo": "cbam"}])
    with pytest.raises(ConfigError, match="wider/frelu answers"):
        made("factorial", [*THREE, SLOW, LONG], [{"wider": "frelu"}])


def test_a_design_and_its_arms_are_frozen() -> None:
    designs = ("one-at-a-time", "leave-one-out", "stack", "factorial")
    assert len({study_fingerprint(tiny(changes=THREE, design=design)) for design in designs}) == 4
    stack = tiny(changes=THREE, design="stack")
    assert study_fingerprint(stack) != study_fingerprint(tiny(changes=THREE[::-1], design="stack"))


def test_the_fingerprint_of_an_older_study_is_what_it_was() -> None:
    assert study_fingerprint(tiny()) == "319142bd0e2131ff"


def test_some_of_the_changes_make_a_smaller_design() -> None:
    study = only(tiny(changes=THREE, controls=[], design="factorial"), ["cbam", "focal"])
    assert [arm.name for arm in arms(study)] == ["baseline", "cbam", "focal", "cbam+focal"]
