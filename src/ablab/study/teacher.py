"""A run that teaches another: `distill: {teacher: RUN}`."""

from __future__ import annotations

from pathlib import Path

from ablab.contracts import Learner, Task
from ablab.engine.distil import Taught, assert_same_outputs
from ablab.errors import ConfigError, StoreError
from ablab.measure.seeding import forked
from ablab.recipe import Recipe
from ablab.study.design import teacher_hash
from ablab.study.restore import restore


def taught(task: Task, recipe: Recipe, asked: str = "") -> Task:
    """The task, with the recipe's teacher in its steps where there is one.

    Raises ConfigError for a teacher that is no finished run, for one of another task, other classes, other anchors or
    other outputs, and for one whose weights do not have the hash that was `asked` for.
    """
    if recipe.distill is None:
        return task
    place = Path(recipe.distill.teacher)
    if not isinstance(task, Learner):
        raise ConfigError(f"distill: the task '{recipe.task}' cannot be taught; it has no distil")
    try:
        other, network, arm, _ = restore(place)
    except StoreError as error:
        raise ConfigError(
            f"distill.teacher {place} is no finished run: {error}; give the folder of a run, with its run.json and "
            "weights.safetensors. In a study file a relative path begins with ./ or ../"
        ) from None
    if asked and asked != teacher_hash(recipe):
        raise ConfigError(
            f"distill.teacher {place} has other weights than when this run was planned: put the old ones back, or "
            "start the command again, whose runs will be of those that are there now"
        )
    if arm.recipe.task != recipe.task:
        raise ConfigError(
            f"distill.teacher {place} is of the task '{arm.recipe.task}', and the student's '{recipe.task}'"
        )
    theirs, ours = other.facts(), task.facts()
    if theirs["classes"] != ours["classes"]:
        raise ConfigError(f"distill.teacher {place} has other classes: {theirs['classes']}, here {ours['classes']}")
    if ("anchors" in theirs) != ("anchors" in ours):
        kinds = [f"{'an anchor' if 'anchors' in facts else 'an anchor-free'} head" for facts in (theirs, ours)]
        raise ConfigError(
            f"distill.teacher {place} has {kinds[0]}, and the student {kinds[1]}: both must have the same"
        )
    if theirs.get("anchors") != ours.get("anchors"):
        raise ConfigError(
            f"distill.teacher {place} has other anchors: {theirs['anchors']}, here {ours['anchors']}; set the recipe's "
            "anchors to the teacher's"
        )
    with forked("teacher"):
        student = task.build()
    assert_same_outputs(student, network, task.example(), str(place))
    made: Task = Taught(task, network, recipe)
    return made
