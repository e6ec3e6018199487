"""Two changes that cannot stand in one network are named, with the place, before anything trains."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_study import tiny

from ablab.engine.events import Silent
from ablab.errors import UserError
from ablab.study.collisions import collisions
from ablab.study.design import arms
from ablab.study.plan import plan

WHERE = "backbone.stage5.1.merge.act"


def edit(name: str, **words: Any) -> dict[str, Any]:
    return {"name": name, "edits": [words]}


FRELU = edit("frelu", op="replace", of="silu", part="frelu", within="backbone.stage5.*")
HARDSWISH = edit("hardswish", op="replace", of="silu", part="hardswish")
CBAM = edit("cbam", op="insert", after="backbone.out", part="cbam")
ECA = edit("eca", op="insert", after="backbone.out", part="eca")
SCALED = edit("scaled", op="wrap", of="backbone.stage5.1", part="layer-scale")


def found(*changes: dict[str, Any], design: str = "stack") -> list[str]:
    study = tiny(changes=list(changes), controls=[], design=design)
    return list(collisions(study, arms(study)))


@pytest.mark.parametrize(
    "changes",
    [(CBAM, ECA), (CBAM, HARDSWISH), (FRELU, CBAM), (HARDSWISH, SCALED), (SCALED, HARDSWISH)],
    ids=lambda changes: "+".join(change["name"] for change in changes),
)
def test_what_stands_beside_or_around_another_does_not_collide(changes: tuple[dict[str, Any], ...]) -> None:
    assert found(*changes) == []


def test_an_edit_that_finds_fewer_places_than_alone_is_a_collision() -> None:
    """No error of surgery: `silu` is still found elsewhere, and 10 or so places are FReLU's by then."""
    (said,) = found(CBAM, FRELU, HARDSWISH)
    assert said.startswith("changes 'hardswish' and 'frelu' collide when combined at backbone.stage5.")
    assert "hardswish alone makes it Hardswish, with frelu it is FReLU" in said
    assert "design: one-at-a-time" in said


def test_an_edit_that_matches_nothing_any_more_is_a_collision() -> None:
    whole = edit("whole", op="replace", of="silu", part="frelu")
    (said,) = found(whole, HARDSWISH)
    assert said.startswith("changes 'whole' and 'hardswish' collide when combined: replace silu by hardswish")


def test_an_edit_that_undoes_another_is_a_collision() -> None:
    """By name, the later one finds its place, whatever stands there."""
    (said,) = found(FRELU, edit("named", op="replace", of=WHERE, part="hardswish"))
    assert f"at {WHERE}" in said
    assert "frelu alone makes it FReLU, with named it is Hardswish" in said
    (said,) = found(FRELU, edit("removed", op="remove", of=WHERE))
    assert "with removed it is Identity" in said


def test_only_pairs_that_some_arm_combines_are_looked_at() -> None:
    assert found(FRELU, HARDSWISH, design="one-at-a-time") == []


def test_a_change_that_fails_alone_is_told_once() -> None:
    wrong = edit("wrong", op="insert", after="backbone.nowhere", part="cbam")
    (said,) = found(wrong, CBAM, ECA, design="factorial")
    assert said.startswith("change 'wrong': ")


def test_planning_refuses_before_anything_trains() -> None:
    study = tiny(changes=[FRELU, HARDSWISH], controls=[], design="leave-one-out")
    with pytest.raises(UserError, match=r"'hardswish' and 'frelu' collide when combined at backbone\.stage5"):
        plan(study, (), Silent(), jobs=1)
