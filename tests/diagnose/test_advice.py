"""Proposals for what any task knows: each applies to the recipe, names its fault and its numbers."""

from __future__ import annotations

from typing import Any

import pytest
from tiny import recipe

from ablab.config import override
from ablab.diagnose.advice import ANSWERS, advise
from ablab.findings import Chapter, Finding, Proposal
from ablab.recipe import OptimizerRecipe, Recipe


def chapter(*faults: str, **numbers: Any) -> Chapter:
    evidence = (("best epoch", 2.0),)
    found = [Finding(fault, 0.9 - 0.1 * at, evidence, f"{fault}: 12%") for at, fault in enumerate(faults)]
    return Chapter("training", numbers, tuple(found))


def given(lr: float = 0.03, **train: Any) -> Recipe:
    return recipe(**train).model_copy(update={"optimizer": OptimizerRecipe(lr=lr)})


def only(found: tuple[Proposal, ...]) -> dict[str, Any]:
    assert len(found) == 1
    return dict(found[0].set)


@pytest.mark.parametrize("fault", ANSWERS)
def test_every_answer_applies_and_names_its_evidence(fault: str) -> None:
    made = advise([chapter(fault)], given())
    assert made
    for each in made:
        assert each.faults == (fault,)
        assert "12%" in each.because
        assert each.gain is None
        if each.set:
            assert override(given(), each.set) != given()


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({"trial": {"lower": 0.003}, "range": {"largest": 0.08}}, 0.003),  # what was measured to be better
        ({"trial": None, "range": {"largest": 0.0811}}, 0.0081),
        ({"range": {"largest": 5.0}}, 0.003),  # its tenth is no lower rate
        ({"range": None}, 0.003),
        ({}, 0.003),
    ],
)
def test_a_rate_too_high_is_lowered_to_one_that_is_known(numbers: dict[str, Any], expected: float) -> None:
    assert only(advise([chapter("learning rate too high", **numbers)], given())) == {"optimizer.lr": expected}


def test_a_rate_too_low_is_raised() -> None:
    low = "learning rate too low"
    assert only(advise([chapter(low, range={"largest": 0.2})], given(1e-4))) == {"optimizer.lr": 0.02}
    assert only(advise([chapter(low)], given(1e-4))) == {"optimizer.lr": 3e-4}


def test_the_worst_finding_is_answered_first_and_no_answer_twice() -> None:
    made = advise([chapter("unused channels", "dead units"), chapter("too short", "overfitting")], given())
    assert [each.name for each in made] == ["narrower", "longer", "more-decay", "shorter"]
    assert only(made[1:2]) == {"train.epochs": 6}


def test_what_the_recipe_refuses_is_not_proposed() -> None:
    """Two epochs cannot be `shorter` where an epoch is named that would be left out."""
    made = advise([chapter("overfitting")], given(freeze=["0.*"], unfreeze={3: ["*"]}))
    assert [each.name for each in made] == ["more-decay"]


def test_what_is_no_advice_of_ours_is_left_to_others() -> None:
    assert advise([chapter("labels misplaced", "dead layer"), Chapter("data", {})], given()) == ()


def test_a_faster_loader_is_said_to_be_speed() -> None:
    (made,) = advise([chapter("loader-bound")], given(workers=3))
    assert not made.ready
    assert "train.workers=6" in made.todo
    assert "same scores" in made.todo
