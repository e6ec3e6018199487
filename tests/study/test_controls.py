"""Controls that answer a change: as many parameters, or as many FLOPs, and none of the mechanism."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_study import TINY, tiny

from ablab import registry
from ablab.engine.events import Silent
from ablab.errors import ConfigError, UserError
from ablab.measure import flops, parameters
from ablab.study import controls, spec
from ablab.study.build import build
from ablab.study.design import Arm, arms, study_fingerprint
from ablab.study.plan import plan

CBAM = TINY["changes"][0]
FRELU_SE = {
    "name": "frelu-se",
    "edits": [
        {"op": "replace", "of": "silu", "part": "frelu", "within": "neck.*"},
        {"op": "insert", "after": "backbone.out", "part": "se", "args": {"reduction": 4}, "expect": 3},
    ],
}
HARDSWISH = {"name": "hardswish", "edits": [{"op": "replace", "of": "silu", "part": "hardswish"}]}


def built(arm: Arm) -> Any:
    task = registry.task(arm.recipe.task)[1](arm.recipe)
    return task, build(task, arm, 0).model


def by_name(**changes: Any) -> dict[str, Arm]:
    return {arm.name: arm for arm in arms(tiny(**changes))}


def test_a_word_is_enough_where_there_is_one_change() -> None:
    made = by_name(controls=["a/a", "placebo", "wider"])
    assert list(made) == ["baseline", "cbam", "a/a", "placebo/cbam", "wider/cbam"]
    assert {made[name].kind for name in ("a/a", "placebo/cbam", "wider/cbam")} == {"control"}
    assert made["placebo/cbam"].stream == made["wider/cbam"].stream == made["baseline"].stream
    assert made["placebo/cbam"].differences[0].startswith("insert attention/placebo")
    assert made["wider/cbam"].differences[0].startswith("model.width: None -> 0.")


@pytest.mark.parametrize("change", [CBAM, FRELU_SE], ids=lambda c: str(c["name"]))
def test_a_placebo_has_as_many_parameters_at_as_many_places(change: dict[str, Any]) -> None:
    made = by_name(changes=[change], controls=["placebo"])
    counts = {name: parameters(built(arm)[1]) for name, arm in made.items()}
    name = change["name"]
    assert counts[name] > counts["baseline"]
    assert counts[f"placebo/{name}"] == counts[name]


def test_wider_is_the_nearest_step_that_is_wider() -> None:
    made = by_name(changes=[FRELU_SE], controls=["wider"])
    wider = made["wider/frelu-se"]
    step = wider.recipe.model.width * controls.GRID  # type: ignore[attr-defined]
    assert step == int(step)
    cost = {name: flops(model, task.example()) for name, (task, model) in ((n, built(a)) for n, a in made.items())}
    assert cost["wider/frelu-se"] > cost["baseline"]
    above = controls._cost(wider.recipe, None)
    assert above == cost["wider/frelu-se"]
    off = abs(cost["wider/frelu-se"] - cost["frelu-se"])
    for beside in (step - 1, step + 1):
        recipe = wider.recipe.model_copy(
            update={"model": wider.recipe.model.model_copy(update={"width": beside / controls.GRID})}
        )
        assert off <= abs(controls._cost(recipe, None) - cost["frelu-se"]) or beside / controls.GRID <= 0.25


@given(st.lists(st.integers(0, 9), min_size=80, max_size=80), st.integers(1, 200))
def test_the_closest_step_is_found(rises: list[int], target: int) -> None:
    """Against looking at every step, for any cost that never falls."""
    costs = [sum(rises[: step + 1]) + 10 * (step > 60) * (step - 60) for step in range(80)]
    floor = costs[5]

    def cost(step: int) -> int:
        return costs[step] if step < len(costs) else costs[-1] + 1000 * (step - 79)

    if target <= floor:
        return
    found = cost(controls.closest(cost, floor, target))
    wider = [cost(step) for step in range(1, 200) if cost(step) > floor]
    assert found in wider
    assert abs(found - target) == min(abs(c - target) for c in wider)


def test_what_never_costs_as_much_is_refused() -> None:
    with pytest.raises(ConfigError, match="still costs less than 2 FLOPs"):
        controls.closest(lambda step: 1, 0, 2)


def test_a_width_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    study = tiny(controls=["wider"])
    frozen = study_fingerprint(study)
    monkeypatch.setattr(controls, "_cost", None)  # would fail if it were asked again
    assert study_fingerprint(study) == frozen


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (["placbo"], "did you mean 'placebo'"),
        ([{"widr": "cbam"}], "did you mean 'wider'"),
        ([{"placebo": "cbm"}], "'cbm' is no change; did you mean 'cbam'"),
        ([{"a/a": "cbam"}], "answers no change"),
        (["wider", {"wider": "cbam"}], "the arm 'wider-cbam' stands twice"),
        (["a/a", "a/a"], "the arm 'a-a' stands twice"),
    ],
)
def test_a_mistaken_control_is_named(wanted: list[Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        tiny(controls=wanted)


def test_which_change_must_be_said_where_there_are_two() -> None:
    with pytest.raises(ConfigError, match=r"which change is meant.*\{placebo: NAME\}, NAME one of cbam, frelu-se"):
        tiny(changes=[CBAM, FRELU_SE], controls=["placebo"])
    study = tiny(changes=[CBAM, FRELU_SE], controls=[{"placebo": "cbam"}])
    assert study == spec.build(study.model_dump(mode="json"), "again", Path.cwd())


def test_a_change_that_costs_nothing_has_nothing_to_match() -> None:
    with pytest.raises(ConfigError, match=r"wider/hardswish: a forward pass costs \d+ FLOPs with the change"):
        by_name(changes=[HARDSWISH], controls=["wider"])
    with pytest.raises(ConfigError, match="a placebo stands for a part that is inserted"):
        by_name(changes=[{"name": "less", "edits": [{"op": "remove", "of": "neck.*"}]}], controls=["placebo"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (HARDSWISH, r"hardswish gains no parameters \(\+0\), so it wants no placebo"),
        (CBAM | {"set": {"model.size": "s"}}, "for the change does more than put parts in; ask for 'wider'"),
    ],
)
def test_a_placebo_that_would_not_be_one_is_refused_before_training(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        plan(tiny(changes=[change], controls=["placebo"]), (), Silent())


def test_the_plan_of_a_study_with_all_controls() -> None:
    rows = {row["arm"]: row for row in plan(tiny(controls=["a/a", "placebo", "wider"]), (), Silent())["arms"]}
    assert rows["placebo/cbam"]["parameters"] == rows["cbam"]["parameters"]
    assert rows["placebo/cbam"]["flops"] == rows["baseline"]["flops"]
    assert rows["wider/cbam"]["flops"] > rows["cbam"]["flops"]
