"""Changes together: one recipe and one row of edits; or the two changes whose settings collide."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from ablab.config import override
from ablab.errors import ConfigError
from ablab.recipe import After, Change, Edit, Recipe
from ablab.study.spec import Study
from ablab.study.steps import in_order

ADVICE = (
    "make them one change, put what they share into the baseline, leave one out with --only, or ask for "
    "'design: one-at-a-time', which combines nothing"
)


def together(study: Study, changes: Sequence[Change], name: str) -> tuple[Recipe, tuple[Edit, ...], tuple[After, ...]]:
    """The baseline's recipe with the settings of all changes, their edits in order, and their steps after training.

    What one of them prunes another may export.

    Raises ConfigError where the settings do not go together, naming the two changes that collide.
    """
    for one, other in combinations(changes, 2):
        _assert_apart(one, other)
    try:
        edits = tuple(edit for change in changes for edit in change.edits)
        return _recipe(study, changes, name), edits, in_order(step for change in changes for step in change.after)
    except ConfigError:
        for pair in combinations(changes, 2):
            try:
                _recipe(study, pair, name)
            except ConfigError as error:
                names = f"'{pair[0].name}' and '{pair[1].name}'"
                raise ConfigError(f"changes {names} collide when combined: {error}; {ADVICE}") from None
        raise


def _recipe(study: Study, changes: Sequence[Change], name: str) -> Recipe:
    settings = {path: value for change in changes for path, value in change.set.items()}
    return override(study.baseline, settings, f"arm '{name}': set")


def _assert_apart(one: Change, other: Change) -> None:
    for mine in one.after:
        for theirs in other.after:
            kind = mine.partition("/")[0]
            if kind == theirs.partition("/")[0]:
                raise ConfigError(
                    f"changes '{one.name}' and '{other.name}' collide when combined: they {kind} the trained network "
                    f"twice, by {mine} and {theirs}; {ADVICE}"
                )
    for mine in one.set:
        for theirs in other.set:
            if mine == theirs or mine.startswith(f"{theirs}.") or theirs.startswith(f"{mine}."):
                where = f"both set '{mine}'" if mine == theirs else f"set '{mine}' and '{theirs}'"
                raise ConfigError(
                    f"changes '{one.name}' and '{other.name}' collide when combined: they {where}; {ADVICE}"
                )
