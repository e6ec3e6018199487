"""The study file: baseline, changes, design, seeds, judge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, field_validator, model_validator

from ablab import registry
from ablab.config import Config, load_yaml, override, parse
from ablab.errors import ConfigError, UnknownName, suggest
from ablab.recipe import Change, Recipe
from ablab.records import slug
from ablab.study import groups
from ablab.study.seeds import AnySeeds, Seeds, check_looks


def _typed(value: Any) -> Any:
    """Plain data as a recipe of the task that it names."""
    if isinstance(value, Recipe):
        return value
    return registry.task_recipe(value["task"]).model_validate(value)


class Judge(Config):
    """How verdicts are reached; frozen before the first run.

    `smallest_interesting` is in the metric's units (0.01 is one point of AP). A run that diverges scores
    `on_divergence`. `noise`, where it is known, is the standard deviation over seeds of the difference to the baseline.
    `group` says which images are resampled together (a video, a patient): a regular expression with one group on the
    image's id, or a CSV file with the columns image and group; without it, what the data set states.
    `method` "dunnett" pools the noise of all arms, which it assumes to be equal; Holm's assumes nothing of the kind.
    """

    metric: str = "AP"
    direction: Literal["max", "min"] = "max"
    smallest_interesting: float = Field(default=0.01, gt=0)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    method: Literal["holm", "dunnett"] = "holm"
    split: Literal["validation", "test"] = "validation"
    on_divergence: float = 0.0
    noise: float | None = Field(default=None, gt=0)
    group: str | None = None

    @field_validator("group")
    @classmethod
    def _usable(cls, group: str | None) -> str | None:
        if group is not None:
            groups.check(group)
        return group


def _control(value: Any) -> Any:
    if isinstance(value, str):
        return {"kind": value}
    if isinstance(value, dict) and len(value) == 1 and not {"kind", "of"} & set(value):
        ((kind, of),) = value.items()
        return {"kind": kind, "of": of}
    return value


class Control(Config):
    """A control arm: `a/a` (the baseline again), or `{placebo: cbam}` and `{wider: cbam}`, which answer a change.

    A change that stands alone need not be named: `placebo`, `wider`.
    """

    kind: Literal["a/a", "placebo", "wider"]
    of: str | None = None


class Study(Config):
    """A study, as asked. `seeds: 3` is short for `[0, 1, 2]`; `controls: [a/a]` asks for the baseline once more."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    baseline: Annotated[SerializeAsAny[Recipe], BeforeValidator(_typed)]
    changes: tuple[Change, ...] = ()
    design: Literal["one-at-a-time", "leave-one-out", "stack", "factorial"] = "one-at-a-time"
    controls: tuple[Annotated[Control, BeforeValidator(_control)], ...] = ()
    seeds: AnySeeds = Seeds((0, 1, 2))
    judge: Judge = Judge()
    plugins: tuple[str, ...] = ()
    max_hours: float | None = Field(default=None, gt=0, description="no run starts after this")

    @model_validator(mode="after")
    def _sane(self) -> Study:
        if not self.changes and not self.controls:
            raise ValueError("a study without changes compares nothing; add one under 'changes', or use `ablab train`")
        if not self.seeds:
            raise ValueError("seeds: at least one is needed; 5 or more for a verdict that is not a screening")
        arms = [change.name for change in self.changes] + [self.control_name(each) for each in self.controls]
        for kind, values in (("seed", self.seeds), ("arm", [slug(arm) for arm in arms])):
            twice = [v for i, v in enumerate(values) if v in values[:i]]
            if twice:
                raise ValueError(f"the {kind} '{twice[0]}' stands twice; each is wanted once")
        if self.judge.method == "dunnett" and self.design != "one-at-a-time":
            raise ValueError(
                f"judge: method 'dunnett' compares every arm with one baseline, which design '{self.design}' does not; "
                "use 'holm'"
            )
        check_looks(self.seeds.looks, len(arms), self.design, self.judge.method, self.judge.split)
        if any(change.name == "baseline" for change in self.changes):
            raise ValueError("a change may not be called 'baseline'")
        return self

    def answered(self, control: Control) -> str:
        """The name of the change that a control answers; empty for `a/a`. Raises ValueError where there is none."""
        names = [change.name for change in self.changes]
        if control.kind == "a/a":
            if control.of is not None:
                raise ValueError(f"controls: a/a is the baseline again and answers no change (got '{control.of}')")
            return ""
        if control.of is None and len(names) == 1:
            return names[0]
        if control.of not in names:
            wrong = (
                f"'{control.of}' is no change{suggest(control.of, names)}" if control.of else "which change is meant?"
            )
            raise ValueError(
                f"controls: {control.kind}: {wrong}; write {{{control.kind}: NAME}}, NAME one of {', '.join(names)}"
            )
        return control.of

    def control_name(self, control: Control) -> str:
        """The name of a control's arm: `a/a`, `placebo/cbam`, `wider/cbam`."""
        of = self.answered(control)
        return f"{control.kind}/{of}" if of else control.kind


def load(path: Path, changes: dict[str, Any] | None = None) -> Study:
    """Read a study file. Paths in it are relative to the file; `changes` are dotted overrides of the whole study.

    Raises ConfigError for an unknown key, name or type, with the nearest valid word.
    """
    return build(load_yaml(path), str(path), path.resolve().parent, changes)


def only(study: Study, names: Sequence[str]) -> Study:
    """The study with some of its changes, in its own order; a control that answers another change goes with that.

    Raises UnknownName for a change that there is not.
    """
    known = [change.name for change in study.changes]
    for name in names:
        if name not in known:
            raise UnknownName("change", name, known, "--only")
    kept = tuple(change for change in study.changes if change.name in names)
    controls = tuple(each for each in study.controls if study.answered(each) in {"", *names})
    return study.model_copy(update={"changes": kept, "controls": controls})


def build(data: dict[str, Any], where: str, root: Path, changes: dict[str, Any] | None = None) -> Study:
    """Make a study from plain data; `root` is what its relative paths start from."""
    if "baseline" not in data:
        raise ConfigError(f"{where}: the key 'baseline' is missing: the recipe that changes are made to")
    made = recipe(data["baseline"], f"{where}: baseline", root)
    files: dict[str, Any] = {key: _rooted_files(data[key], root) for key in ("changes", "judge") if key in data}
    study = parse(Study, {**data, "baseline": made, **files}, where)
    plugins = tuple(str(_rooted(plugin, root)) for plugin in study.plugins)
    study = study.model_copy(update={"plugins": plugins})
    study = override(study, changes or {}, "--set")
    for change in study.changes:
        override(study.baseline, change.set, f"{where}: change '{change.name}': set")
    return study


def recipe(data: Any, where: str, root: Path) -> Recipe:
    """Make a recipe of the right task from plain data."""
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: expected a mapping of settings, got {type(data).__name__}")
    kind = registry.task_recipe(data.get("task", "detection"))
    made: Recipe = parse(kind, _rooted_files(data, root), where)
    places = {"data.path": str(_rooted(made.data.path, root))}
    if made.start:  # a run's folder as well as a file
        places["start.weights"] = str(_rooted(made.start.weights, root))
    if made.distill:
        places["distill.teacher"] = str(_rooted(made.distill.teacher, root))
    return override(made, places, where)


def _rooted_files(value: Any, root: Path) -> Any:
    """Plain data in which the name of a file is whole: a part's weights, a table of splits.

    It is the name of a file where it begins with `./` or `../`, or has a suffix and is a file in `root`.
    """
    if isinstance(value, dict):
        return {key: _rooted_files(inner, root) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rooted_files(inner, root) for inner in value]
    if not isinstance(value, str):
        return value
    beside = value.startswith(("./", "../")) or (Path(value).suffix != "" and (root / value).is_file())
    return str((root / value).resolve()) if beside else value


def _rooted(path: str, root: Path) -> Path | str:
    """A relative path that leads somewhere from `root`, whole; anything else (`photo-digits`) as it stands."""
    if path.startswith(("./", "../")) or (root / path).exists():
        return (root / path).resolve()
    return path
