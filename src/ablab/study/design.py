"""From changes to arms."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from ablab.config import diff, fingerprint
from ablab.errors import ConfigError
from ablab.recipe import After, Change, Edit, Recipe
from ablab.records import slug
from ablab.stats.designs import MOST_FACTORS, layout
from ablab.study.spec import Control, Study
from ablab.study.steps import share, told
from ablab.study.together import together

BASELINE = "baseline"
FULL = "full"
LATER = {"group": None, "method": "holm"}  # keys of the judge that older studies' fingerprints were made without
LONGEST = 160  # characters of an arm's name, which is a folder's name, too

Kind = Literal["baseline", "change", "cell", "control"]


@dataclass(frozen=True)
class Arm:
    """What is trained: the baseline with zero or more changes.

    A `cell` is an arm of a factorial, whose changes are judged over all cells. `stream` names the arm's random streams:
    the study's for every arm but an A/A one, whose luck is its own. `answers` is the change that a placebo or wider
    control stands against; `against` is the arm that this one is compared with, `changes` what is in it. `after` is
    what is done to the trained network before it is scored, in order (`study.steps`). `teacher` is the hash of its
    teacher's weights as they were when the arm was made, "" without one.
    """

    name: str
    kind: Kind
    because: str
    recipe: Recipe
    edits: tuple[Edit, ...] = ()
    differences: tuple[str, ...] = ()
    stream: str = ""
    answers: str = ""
    against: str = BASELINE
    changes: tuple[str, ...] = ()
    after: tuple[After, ...] = ()
    teacher: str = ""


def arms(study: Study) -> list[Arm]:
    """The baseline first, then the arms of the design, then the controls.

        one-at-a-time   frelu, cbam, ...                   each against the baseline
        leave-one-out   full, without/frelu, ...           each part's absence against the full model
        stack           +frelu, +cbam, ...                 each rung against the one below
        factorial       frelu, cbam, frelu+cbam, ...       cells; the main effects decide (stats.designs)

    Raises ConfigError for changes that cannot be combined, for more or fewer of them than the design takes, and for a
    control that the design has no arm for.
    """
    made = [Arm(BASELINE, "baseline", "", study.baseline, stream=study.name)]
    if study.design != "one-at-a-time" and len(study.changes) < 2:
        raise ConfigError(
            f"design: {study.design} combines changes, and the study has {len(study.changes)}; give it two or more, or "
            "ask for 'one-at-a-time'"
        )
    made += {"one-at-a-time": _alone, "leave-one-out": _left_out, "stack": _stacked, "factorial": _cells}[study.design](
        study
    )
    made += [_control(study, control, made) for control in study.controls]
    _assert_names(made)
    return [pinned(arm) for arm in made]


def pinned(arm: Arm) -> Arm:
    """The arm with the hash of its teacher's weights as they are now: with others it will not be trained."""
    return replace(arm, teacher=teacher_hash(arm.recipe))


def _alone(study: Study) -> list[Arm]:
    return [combined(study, change.name, "change", change.because, [change]) for change in study.changes]


def _left_out(study: Study) -> list[Arm]:
    found = [combined(study, FULL, "change", "the final model: all changes together", study.changes)]
    for change in study.changes:
        rest = [each for each in study.changes if each is not change]
        because = f"the full model without {change.name}: is it needed?"
        found.append(replace(combined(study, f"without/{change.name}", "change", because, rest), against=FULL))
    return found


def _stacked(study: Study) -> list[Arm]:
    found: list[Arm] = []
    for height, change in enumerate(study.changes, start=1):
        below = found[-1].name if found else BASELINE
        rung = combined(study, f"+{change.name}", "change", change.because, study.changes[:height])
        found.append(replace(rung, against=below))
    return found


def _cells(study: Study) -> list[Arm]:
    if len(study.changes) > MOST_FACTORS:
        raise ConfigError(
            f"design: factorial takes {MOST_FACTORS} changes at most, and the study has {len(study.changes)}; screen "
            "them with 'one-at-a-time' and combine the best with --only, or split them into two studies"
        )
    found = []
    for levels in layout(len(study.changes)).cells[1:]:  # the first is the baseline
        chosen = [change for change, level in zip(study.changes, levels, strict=True) if level > 0]
        because = chosen[0].because if len(chosen) == 1 else ""
        found.append(combined(study, "+".join(change.name for change in chosen), "cell", because, chosen))
    return found


def _control(study: Study, control: Control, made: Sequence[Arm]) -> Arm:
    name, of = study.control_name(control), study.answered(control)
    if not of:
        because = "the baseline again under other streams: no real difference to find"
        return Arm(name, "control", because, study.baseline, stream=f"{study.name}#{name}")
    changed = next((arm for arm in made if arm.changes == (of,) and arm.against == BASELINE), None)
    if changed is None:
        raise ConfigError(
            f"controls: {name} answers what {of} does alone, and this {study.design} design trains no arm of {of} "
            "alone against the baseline; ask for it in a one-at-a-time study. a/a goes with every design"
        )
    from ablab.study import controls  # wants torch, as no other design does

    if control.kind == "wider":
        because = f"as many FLOPs as {of}, by width alone: {of} has to beat it"
        return replace(_made(study, name, "control", because, controls.widened(made[0], changed), ()), answers=of)
    because = f"as many parameters as {of} at the same places, without its mechanism: {of} has to beat it"
    edits = tuple(controls.placebo(edit, name) for edit in changed.edits)
    return replace(_made(study, name, "control", because, study.baseline, edits), answers=of)


def combined(study: Study, name: str, kind: Kind, because: str, changes: Sequence[Change]) -> Arm:
    """An arm with some of the study's changes.

    Raises ConfigError for two whose settings collide, and for settings of a fine-tune that there is not.
    """
    recipe, edits, after = together(study, changes, name)
    made = _made(study, name, kind, because, recipe, edits)
    if recipe.prune != study.baseline.prune and share(after) is None:
        raise ConfigError(f"arm '{name}': prune would do nothing: nothing is pruned; add a step, after: [prune/0.3]")
    found = (*made.differences, *told(after, recipe))
    return replace(made, differences=found, changes=tuple(change.name for change in changes), after=after)


def _made(study: Study, name: str, kind: Kind, because: str, recipe: Recipe, edits: tuple[Edit, ...]) -> Arm:
    found = [f"{path}: {old} -> {new}" for path, (old, new) in diff(study.baseline, recipe).items()]
    found += [str(edit) for edit in edits]
    return Arm(name, kind, because, recipe, edits, tuple(found), study.name)


def _assert_names(made: Sequence[Arm]) -> None:
    """Every arm has a folder of its own: a change may not be called as an arm of the design is."""
    seen: dict[str, str] = {}
    for arm in made:
        if len(arm.name) > LONGEST:
            raise ConfigError(f"the arm '{arm.name}' has {len(arm.name)} letters; give its changes shorter names")
        if slug(arm.name) in seen:
            other = seen[slug(arm.name)]
            raise ConfigError(f"two arms would be called '{arm.name}' ('{other}'); give a change another name")
        seen[slug(arm.name)] = arm.name


def run_fingerprint(arm: Arm, seed: int, manifest: str, plugins: str, version: str) -> str:
    """What names a run: recipe, edits, streams, data, plug-ins and version; not where data lies, nor what changes
    speed alone. Files count by their content, wherever they lie."""
    recipe: dict[str, Any] = by_content(arm.recipe.model_dump(mode="json"))
    recipe["data"].pop("path")
    if share(arm.after) is None:  # older runs' fingerprints were made without, too
        recipe.pop("prune")
    if arm.recipe.distill is None:
        recipe.pop("distill")
    else:
        recipe["distill"]["teacher"] = arm.teacher or teacher_hash(arm.recipe)
    if arm.recipe.start:
        recipe["start"]["weights"] = _content(arm.recipe.start.weights)
    if not arm.recipe.train.sync_norm:
        recipe["train"].pop("sync_norm")
    for speed in ("workers", "cache", "cache_gb"):
        recipe["train"].pop(speed)
    edits = [by_content(edit.model_dump(mode="json")) for edit in arm.edits]
    after = [list(arm.after)] if arm.after else []  # older runs' fingerprints were made without
    return fingerprint([recipe, edits, arm.stream, seed, manifest, plugins, version, *after])


def teacher_hash(recipe: Recipe) -> str:
    """What names a recipe's teacher: the hash of its weights; its path where it has none, and "" without a teacher."""
    if recipe.distill is None:
        return ""
    return _content(recipe.distill.teacher)


def _content(place: str) -> str:
    """`by_content` of what is known to be a path: it takes a bare name for a word."""
    found: str = by_content(str(Path(place).absolute()))
    return found


def by_content(value: Any) -> Any:
    """Plain data with the SHA-256 of a file instead of its name; a run's folder is the file of its weights."""
    if isinstance(value, dict):
        return {key: by_content(inner) for key, inner in value.items()}
    named = isinstance(value, str) and ("/" in value or Path(value).suffix != "")  # and not a word such as `relu`
    file = next((f for f in (Path(value), Path(value) / "weights.safetensors") if f.is_file()), None) if named else None
    if file is None:
        return value
    found = file.stat()
    return f"sha256:{_digest(file, found.st_mtime_ns, found.st_size)}"


@lru_cache(maxsize=64)
def _digest(file: Path, changed: int, size: int) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def study_fingerprint(study: Study) -> str:
    """What is frozen before the first run: judge, design, arms and seeds."""
    names = [arm.name for arm in arms(study)]
    judged = by_content(study.judge.model_dump(mode="json"))
    judged = {key: value for key, value in judged.items() if key not in LATER or value != LATER[key]}
    return fingerprint([study.name, judged, study.design, names, study.seeds.plain()])
