"""The whole diagnosis of a run: admit it, read every side, advise, price, write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablab.diagnose import advice, document, next_study
from ablab.diagnose.network.chapter import first_batches, read_network
from ablab.diagnose.patient import Patient, admit, compared, study_scores
from ablab.diagnose.training.chapter import read_training
from ablab.diagnose.training.trial import Trial, try_tenth
from ablab.engine.events import Events
from ablab.engine.range_test import RangeTest, range_test
from ablab.errors import ConfigError, UserError
from ablab.findings import Case, Chapter, Proposal
from ablab.records import write_bytes
from ablab.study.build import build

BATCH, BATCHES = 16, 4  # images that the network is read over: a norm's deviation over 64 of them is good to a tenth


@dataclass(frozen=True)
class Asked:
    """What a diagnosis is asked for.

    `split` is the one whose errors are read, `data` where the data is now, `against` another run to hold this one
    beside. `goals` are operating points: {"recall at precision": 0.95}. `quick` leaves out the range test and all that
    opens image files anew: copies between splits, contact sheets, crops. `prices` says whether to build and time every
    proposal. `study` is a file to write the next study to.
    """

    split: str = "validation"
    data: str | None = None
    against: Path | None = None
    goals: Mapping[str, float] = field(default_factory=dict)
    quick: bool = False
    prices: bool = True
    folder: Path | None = None
    study: Path | None = None


def examine(place: Path, asked: Asked, events: Events) -> tuple[dict[str, Any], Path]:
    """Diagnose a run; writes all but the page into RUN/diagnosis, or `asked.folder`. -> the document and its folder

    Raises UserError where there is no finished run, its data is gone, or no proposal is left to write a study of.
    """
    patient = admit(place, asked.split, asked.data, events)
    folder = asked.folder or patient.place / "diagnosis"
    case = Case(patient.evidence, patient.settings, patient.split, folder, goals=asked.goals, images=not asked.quick)
    if asked.against:
        case = compared(case, asked.against, patient.split)
    events.say("read errors and data")
    chapters = [*patient.task.diagnose(case), _network(patient, events), _training(patient, asked.quick, events)]
    proposals = [*patient.task.advise(case, chapters), *advice.advise(chapters, patient.arm.recipe)]
    costs: dict[str, dict[str, float]] = {}
    notes: list[str] = []
    document.write_files(folder, chapters)  # first, since a proposal may name a file that a chapter made
    if asked.prices or asked.study:
        proposals, costs, notes = next_study.priced(patient, proposals, events)
    made = document.as_document(patient, chapters, proposals, costs, notes)
    document.write(folder, made)
    if asked.study:
        _write_study(patient, proposals, asked.study)
    return made, folder


def _network(patient: Patient, events: Events) -> Chapter:
    batches = list(first_batches(patient.task, patient.splits.plain, BATCH, BATCHES))
    return read_network(patient.task, patient.model, batches, events)


def _training(patient: Patient, quick: bool, events: Events) -> Chapter:
    rates, trial = (None, None) if quick else _rates(patient, events)
    judge, recipe = patient.judge, patient.arm.recipe
    known = study_scores(patient)
    return read_training(patient.history, patient.record, recipe, judge.metric, judge.direction, rates, known, trial)


def _rates(patient: Patient, events: Events) -> tuple[RangeTest | None, Trial | None]:
    """The range test and the trial, of the network as it was before; none where its starting weights are gone."""
    seed, recipe = patient.record.key.seed, patient.arm.recipe
    try:
        model = build(patient.task, patient.arm, seed).model
    except UserError as error:
        events.say(f"the learning rate was not tried: {error}")
        return None, None
    key = (patient.arm.stream, seed)
    rates = range_test(patient.task, model, patient.splits, recipe, key=key, events=events)
    return rates, try_tenth(patient.task, model, patient.splits, recipe, key=key, events=events)


def _write_study(patient: Patient, proposals: Sequence[Proposal], path: Path) -> None:
    if not any(each.ready for each in proposals):
        raise ConfigError(
            f"there is nothing to write into {path}: no finding has a remedy that a recipe can set; the page says what "
            "was found, and what a person can do"
        )
    write_bytes(path, next_study.as_yaml(next_study.next_study(patient, proposals)).encode())
