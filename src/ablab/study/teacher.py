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
    for fact, said in (("classes", "classes"), ("anchors", "anchors (set the recipe's to the teacher's)")):
        theirs, ours = other.facts().get(fact), task.facts().get(fact)
        if theirs != ours:
            raise ConfigError(f"distill.teacher {place} has other {said}: {theirs or 'none'}, here {ours or 'none'}")
    with forked("teacher"):
        student = task.build()
    assert_same_outputs(student, network, task.example(), str(place))
    made: Task = Taught(task, network, recipe)
    return made
