"""Controls that answer a change: what it has to beat before its effect is its mechanism's.

placebo   the baseline with parts that have as many parameters at the same places, and none of the mechanism
wider     the baseline with `model.width` grown until a forward pass costs as much as the change's
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from ablab import registry, surgery
from ablab.config import override
from ablab.errors import ConfigError
from ablab.measure import flops
from ablab.measure.seeding import forked
from ablab.recipe import Edit, Recipe
from ablab.study.build import untaught

if TYPE_CHECKING:
    from ablab.study.design import Arm

GRID = 128  # widths are tried in steps of 1 / 128: a layer of 1024 channels grows by 8
WIDEST = 16 * GRID
CLOSE = 0.01  # how far a placebo's parameters may be from its change's


def placebo(edit: Edit, name: str) -> Edit:
    """The edit that puts a placebo where `edit` puts its part, or beside what its part takes the place of.

    Raises ConfigError for an edit that does neither.
    """
    inert = {"part": "attention/placebo", "args": {"like": edit.part} | ({"args": edit.args} if edit.args else {})}
    if edit.op == "insert":
        return edit.model_copy(update=inert)
    if edit.op == "replace":
        return edit.model_copy(update=inert | {"op": "insert", "of": None, "after": edit.of})
    raise ConfigError(f"{name}: a placebo stands for a part that is inserted or replaces another, and not for '{edit}'")


def assert_as_many_parameters(made: Sequence[Arm], gained: Mapping[str, int]) -> None:
    """Hold each placebo against its change; `gained` is {arm: parameters more than the baseline's}.

    Raises ConfigError where the change gained none, or the placebo another number.
    """
    for arm in made:
        if not arm.answers or not arm.edits:  # a wider arm has no edits
            continue
        own, wanted = gained[arm.name], gained[arm.answers]
        if wanted <= 0:
            raise ConfigError(f"{arm.name}: {arm.answers} gains no parameters ({wanted:+d}), so it wants no placebo")
        if abs(own - wanted) > CLOSE * wanted:
            raise ConfigError(
                f"{arm.name}: the placebo gains {own} parameters and {arm.answers} {wanted}, for the change does more "
                f"than put parts in; ask for 'wider' instead"
            )


def widened(baseline: Arm, changed: Arm) -> Recipe:
    """The baseline's recipe at the width whose FLOPs, above the baseline's, are closest to the changed network's.

    Raises ConfigError where the model has no width, or the change costs nothing.
    """
    name = f"wider/{changed.name}"
    if "width" not in type(baseline.recipe.model).model_fields:
        raise ConfigError(f"{name}: the model of the task '{baseline.recipe.task}' has no width that could grow")
    edits = tuple(edit.model_dump_json() for edit in changed.edits)
    width = _width(name, baseline.recipe.task, *(a.recipe.model_dump_json() for a in (baseline, changed)), edits)
    return override(baseline.recipe, {"model.width": width}, name)


@lru_cache(maxsize=64)
def _width(name: str, task: str, baseline: str, changed: str, edits: tuple[str, ...]) -> float:
    """The width for recipes and edits in JSON: a study asks several times, and each answer costs a dozen networks."""
    kind = registry.task_recipe(task)
    recipe = kind.model_validate_json(baseline)
    facts = registry.task(task)[1](recipe).facts()
    floor = _cost(recipe, facts)
    target = _cost(kind.model_validate_json(changed), None, [Edit.model_validate_json(edit) for edit in edits])
    if target <= floor:
        raise ConfigError(
            f"{name}: a forward pass costs {target} FLOPs with the change and {floor} without, so there is no cost to "
            f"match; leave this control out"
        )

    @cache
    def cost(step: int) -> int:
        try:
            return _cost(override(recipe, {"model.width": step / GRID}, name), facts)
        except ConfigError:  # of all settings only the width is new: it is one that changes nothing
            return floor

    return closest(cost, floor, target) / GRID


def closest(cost: Callable[[int], int], floor: int, target: int) -> int:
    """The step whose cost, above `floor`, is closest to `target`; cost never falls from step to step.

    Raises ConfigError where even the widest costs less.
    """
    low, high = 0, 1
    while cost(high) < target:
        low, high = high, 2 * high
        if high > WIDEST:
            raise ConfigError(f"at a width of {WIDEST // GRID} the baseline still costs less than {target} FLOPs")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cost(middle) < target else (low, middle)
    return min((step for step in (low, high) if step and cost(step) > floor), key=lambda s: abs(cost(s) - target))


def _cost(recipe: Recipe, facts: dict[str, Any] | None, edits: Sequence[Edit] = ()) -> int:
    task = registry.task(recipe.task)[1](untaught(recipe), facts)
    with forked("controls"):
        model = task.build()
    patient = surgery.apply(model, edits, task.example())[0] if edits else model
    return flops(patient, task.example())
