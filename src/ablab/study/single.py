"""One model without a study: train it and score it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ablab import __version__, registry, weights
from ablab.config import load_yaml, override
from ablab.contracts import SampleSet, Task
from ablab.engine.evaluate import evaluate as gather
from ablab.engine.events import Events, working
from ablab.engine.transfer import Transfer, match
from ablab.errors import ConfigError, suggest
from ablab.recipe import Recipe
from ablab.records import RunKey, RunRecord
from ablab.study import spec
from ablab.study.after import reopened
from ablab.study.build import build, untaught
from ablab.study.close import log_reading
from ablab.study.design import BASELINE, Arm, pinned, run_fingerprint
from ablab.study.restore import restore
from ablab.study.store import driving, finished
from ablab.study.train import follow as follow_arm
from ablab.study.train import scores
from ablab.study.train import train as train_arm

SPLITS = ("train", "validation", "test")


def train(
    recipe: Path | None,
    changes: Mapping[str, Any],
    seed: int,
    folder: Path | None,
    plugins: Sequence[Path],
    events: Events,
) -> tuple[RunRecord, Path]:
    """Train a recipe, a study's baseline, or the defaults with `changes`; returns the record and its folder.

    A run that is finished is not done again: its record comes back.
    """
    folder = folder or Path("runs") / "train"
    with working(events, "read the data", 1):
        arm, key = _asked(recipe, changes, seed, plugins)
    place = folder / key.folder
    with driving(folder, events):
        record = finished(folder, [key]).get(key)
        if record and record.status != "failed":
            events.say(f"{place} is done already; to train it again, give another --folder or --seed")
            return record, place
        record = train_arm(arm, key, folder, spec.Judge(), events, plugins)
    if record.status == "done":
        seconds, speed = record.cost["train_seconds"], record.cost["images_per_second"]
        events.say(f"trained in {seconds:.1f} s: {speed:.1f} images/s of the whole loop")
    return record, place


def follow(
    recipe: Path | None, changes: Mapping[str, Any], seed: int, folder: Path | None, plugins: Sequence[Path]
) -> None:
    """What `train` is for the other ranks of torchrun: they take part, and write and say nothing."""
    folder = folder or Path("runs") / "train"
    arm, key = _asked(recipe, changes, seed, plugins)
    record = finished(folder, [key]).get(key)
    if record is None or record.status == "failed":
        follow_arm(arm, key, folder, spec.Judge())


def _asked(recipe: Path | None, changes: Mapping[str, Any], seed: int, plugins: Sequence[Path]) -> tuple[Arm, RunKey]:
    """The arm and its key; the data is read for it."""
    source = registry.load_plugins(list(plugins))
    made = read_recipe(recipe, changes)
    if idle := [path for path in changes if path.partition(".")[0] == "prune"]:
        raise ConfigError(
            f"--set {idle[0]} would do nothing: this training prunes nothing; a change in a study does, with the step "
            "after: [prune/0.3]"
        )
    arm = pinned(Arm(BASELINE, "baseline", "", made, stream="train"))
    manifest = registry.task(made.task)[1](made).data(("train", seed)).manifest
    return arm, RunKey("train", arm.name, seed, run_fingerprint(arm, seed, manifest, source, __version__))


def read_recipe(file: Path | None, changes: Mapping[str, Any]) -> Recipe:
    """A recipe, a study's baseline, or the defaults, with `changes`. Raises ConfigError for what does not fit."""
    data: dict[str, Any] = load_yaml(file) if file else {}
    where = str(file) if file else "train"
    root = file.resolve().parent if file else Path.cwd()
    if "baseline" in data:
        data, where = data["baseline"], f"{where}: baseline"
    return override(spec.recipe(data, where, root), changes, "--set")


def fates(file: Path, recipe: Path | None, changes: Mapping[str, Any], plugins: Sequence[Path]) -> Transfer:
    """What would become of every tensor of a file as the start of a recipe, renamed as the recipe says.

    Raises UserError for a file or recipe that cannot be read.
    """
    registry.load_plugins(list(plugins))
    made = read_recipe(recipe, changes)
    bare = Arm(BASELINE, "baseline", "", untaught(made), stream="weights")
    task: Task = registry.task(made.task)[1](bare.recipe)
    return match(build(task, bare, 0).model, weights.read(file), made.start.rename if made.start else {})


def evaluate(place: Path, split: str, data: str | None, events: Events) -> tuple[dict[str, float], list[str]]:
    """Score a run on a split under the threshold that it chose on validation; returns scores and what to tell the user.

    Raises ConfigError for an unknown split or a folder that holds no run.
    """
    if split not in SPLITS:
        raise ConfigError(f"unknown split '{split}'{suggest(split, SPLITS)}")
    task, model, arm, settings = restore(run_folder(place), data)
    torch.set_num_threads(arm.recipe.train.threads)
    splits = task.data((arm.stream, 0))
    samples: SampleSet = splits.plain if split == "train" else getattr(splits, split)
    items = gather(task, reopened(arm, model, run_folder(place)), samples, arm.recipe, events=events)
    notes = [*splits.notes, log_reading(place)] if split == "test" and data is None else list(splits.notes)
    return scores(task.meter(), items, settings), [note for note in notes if note]


def run_folder(place: Path) -> Path:
    """The folder itself, where it holds a run. Raises ConfigError, with the runs inside it, where it does not."""
    if (place / "run.json").is_file():
        return place
    if not place.is_dir():
        near = suggest(place.name, [p.name for p in place.parent.iterdir()] if place.parent.is_dir() else [])
        raise ConfigError(f"no folder {place}{near}")
    found = sorted(path.parent for path in place.rglob("run.json"))
    shown = "; it holds these: " + ", ".join(map(str, found[:6])) if found else "; `ablab train` makes one"
    raise ConfigError(f"{place} is no run's folder: it has no run.json{shown}")
