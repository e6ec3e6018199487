"""From changes to arms."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from ablab.config import diff, fingerprint, override
from ablab.recipe import Edit, Recipe
from ablab.study.spec import Control, Study

BASELINE = "baseline"


@dataclass(frozen=True)
class Arm:
    """What is trained: the baseline with zero or more changes.

    `stream` names the arm's random streams: the study's for every arm but an A/A one, whose luck is its own.
    `answers` is the change that a placebo or wider control stands against; `against` is the arm that this one is
    compared with.
    """

    name: str
    kind: Literal["baseline", "change", "control"]
    because: str
    recipe: Recipe
    edits: tuple[Edit, ...] = ()
    differences: tuple[str, ...] = ()
    stream: str = ""
    answers: str = ""
    against: str = BASELINE


def arms(study: Study) -> list[Arm]:
    """The baseline first, then one arm a change, then the controls."""
    made = [Arm(BASELINE, "baseline", "", study.baseline, stream=study.name)]
    for change in study.changes:
        recipe = override(study.baseline, change.set, f"change '{change.name}': set")
        made.append(_arm(study, change.name, "change", change.because, recipe, change.edits))
    return made + [_control(study, control, made) for control in study.controls]


def _control(study: Study, control: Control, made: Sequence[Arm]) -> Arm:
    name, of = study.control_name(control), study.answered(control)
    if not of:
        because = "the baseline again under other streams: no real difference to find"
        return Arm(name, "control", because, study.baseline, stream=f"{study.name}#{name}")
    from ablab.study import controls  # wants torch, as no other design does

    changed = next(arm for arm in made if arm.name == of)
    recipe, edits = study.baseline, []
    if control.kind == "placebo":
        because = f"as many parameters as {of} at the same places, without its mechanism: {of} has to beat it"
        edits = [controls.placebo(edit, name) for edit in changed.edits]
    else:
        because = f"as many FLOPs as {of}, by width alone: {of} has to beat it"
        recipe = controls.widened(made[0], changed)
    return replace(_arm(study, name, "control", because, recipe, edits), answers=of)


def _arm(
    study: Study, name: str, kind: Literal["change", "control"], because: str, recipe: Recipe, edits: Sequence[Edit]
) -> Arm:
    found = [f"{path}: {old} -> {new}" for path, (old, new) in diff(study.baseline, recipe).items()]
    found += [str(edit) for edit in edits]
    return Arm(name, kind, because, recipe, tuple(edits), tuple(found), study.name)


def run_fingerprint(arm: Arm, seed: int, manifest: str, plugins: str, version: str) -> str:
    """What names a run: recipe, edits, streams, data, plug-ins and version; not where data lies, nor what changes
    speed alone. Files count by their content, wherever they lie."""
    recipe: dict[str, Any] = _by_content(arm.recipe.model_dump(mode="json"))
    recipe["data"].pop("path")
    for speed in ("workers", "cache", "cache_gb"):
        recipe["train"].pop(speed)
    edits = [_by_content(edit.model_dump(mode="json")) for edit in arm.edits]
    return fingerprint([recipe, edits, arm.stream, seed, manifest, plugins, version])


def _by_content(value: Any) -> Any:
    """Plain data with the SHA-256 of a file instead of its name; a run's folder is the file of its weights."""
    if isinstance(value, dict):
        return {key: _by_content(inner) for key, inner in value.items()}
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
    return fingerprint([study.name, study.judge.model_dump(mode="json"), study.design, names, study.seeds])
