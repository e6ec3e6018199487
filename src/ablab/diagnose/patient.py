"""The run under diagnosis: what it left on disk, and its network standing again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from ablab.contracts import Items, SampleSet, Settings, Splits, Task
from ablab.engine.evaluate import evaluate
from ablab.engine.events import Events
from ablab.errors import ConfigError
from ablab.findings import Case
from ablab.records import RunRecord, read_history, read_items, read_json, read_record, read_records, write_items
from ablab.study.after import reopened
from ablab.study.close import log_reading
from ablab.study.design import Arm
from ablab.study.restore import restore
from ablab.study.single import SPLITS, run_folder
from ablab.study.spec import Judge


@dataclass(frozen=True)
class Patient:
    """A finished run. `study` is the folder of the study that it belongs to, None where it stands alone.

    `model` is the network of torch, also where the arm exports it and the evidence is of the export. `evidence` is of
    the splits that were evaluated: `split`, whose errors are read, and what was there besides.
    """

    place: Path
    task: Task
    model: nn.Module
    arm: Arm
    settings: Settings
    record: RunRecord
    history: dict[str, list[float]]
    splits: Splits
    split: str
    evidence: dict[str, Items]
    judge: Judge
    study: Path | None
    notes: tuple[str, ...] = ()


def admit(place: Path, split: str, data: str | None, events: Events) -> Patient:
    """Restore a run and read what it left; evidence of `split` that is not there is made, and kept beside the rest.

    Raises ConfigError for an unknown split or a folder without a run, StoreError for damaged files, DataError for data
    that is not there: give `data`, where it is now.
    """
    if split not in SPLITS:
        raise ConfigError(f"unknown split '{split}'; expected one of {', '.join(SPLITS)}")
    place = run_folder(place)
    record = read_record(place / "record.json")
    if record.status != "done":
        raise ConfigError(
            f"{place} has no network to look at: it {record.status} ({record.error or 'no reason was kept'}); diagnose "
            "a finished run, or try `ablab lr` where the loss was not finite"
        )
    task, model, arm, settings = restore(place, data)
    torch.set_num_threads(arm.recipe.train.threads)
    splits = task.data((arm.stream, record.key.seed))
    evidence, notes = {}, list(splits.notes)
    for name in SPLITS:
        file = place / f"items-{name}.npz"
        if name == split and (data or not file.exists()):
            samples: SampleSet = splits.plain if name == "train" else getattr(splits, name)
            evidence[name] = evaluate(task, reopened(arm, model, place), samples, arm.recipe, events=events)
            if not data:
                write_items(file, evidence[name])
                notes += [log_reading(place)] if name == "test" else []
        elif file.exists() and not data:
            evidence[name] = read_items(file)
    judge, study = _study(place)
    history = read_history(place / "curves.csv")
    said = tuple(note for note in notes if note)
    return Patient(place, task, model, arm, settings, record, history, splits, split, evidence, judge, study, said)


def compared(case: Case, against: Path, split: str) -> Case:
    """The case beside another run's evidence on the same split. Raises ConfigError where that has none."""
    place = run_folder(against)
    file = place / f"items-{split}.npz"
    if not file.exists():
        raise ConfigError(f"{place} has no evidence on {split}; make it with: ablab eval {place} --split {split}")
    return replace(case, against=(read_items(file), read_json(place / "run.json")["settings"]))


def study_scores(patient: Patient) -> dict[str, dict[int, float]]:
    """{arm: {seed: score}} of the study that the run belongs to, in the judge's metric; empty where it stands alone."""
    found: dict[str, dict[int, float]] = {}
    for record in read_records(patient.study) if patient.study else ():
        score = record.scores.get("validation", {}).get(patient.judge.metric)
        if record.status == "done" and score is not None:
            found.setdefault(record.key.arm, {})[record.key.seed] = score
    return found


def _study(place: Path) -> tuple[Judge, Path | None]:
    """The judge of the study that a run is part of, and its folder; the default judge where it is part of none."""
    folder = place.resolve().parents[2]
    if not (folder / "study.json").is_file():
        return Judge(), None
    asked = read_json(folder / "study.json")
    return Judge.model_validate({name: asked[name] for name in Judge.model_fields if name in asked}), folder
