"""A study from first run to verdicts: plan, train what is missing, judge, close."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ablab import registry
from ablab.config import fingerprint
from ablab.contracts import Task
from ablab.engine.distributed import under_torchrun
from ablab.engine.events import Display, Events, working
from ablab.engine.precision import choose
from ablab.errors import ConfigError, StoreError
from ablab.records import RunKey, RunRecord, plain_json, read_json, write_json, write_record
from ablab.study import close, looks, shared, store
from ablab.study.design import Arm, arms
from ablab.study.executors.job import Executor, Job, needs
from ablab.study.executors.local import Local
from ablab.study.judge import Scores, judge, score_table
from ablab.study.peaks import Peaks, planned
from ablab.study.plan import plan
from ablab.study.progress import FILE as PROGRESS
from ablab.study.spec import Judge, Study
from ablab.study.tidy import clear
from ablab.study.train import environment, train

LOCAL = Local()
TRIES = 2  # a run that failed for no reason of its own (killed, out of memory) may do better alone


def run(
    study: Study,
    folder: Path,
    *,
    jobs: int | None = None,
    plugins: Sequence[Path] = (),
    display: Display,
    executor: Executor = LOCAL,
) -> dict[str, Any]:
    """Train every arm under every seed that has no record yet, judge, and close the study when all is done.

    Who does the runs, the `executor`, changes no result.

    A study with looks trains up to the next one, judges it, and goes on with the arms that are not decided.
    Whatever ends this early (Ctrl-C, a kill, a full disk) loses at most the runs under way; the same call goes on.
    Raises UserError before anything trains where an arm cannot be built; StoreError where nothing can be written.
    """
    start = time.monotonic()
    if under_torchrun():
        raise ConfigError("a study starts its own processes: set train.devices, and run it without torchrun")
    parallel = jobs or executor.at_a_time(study.baseline.train)
    with store.driving(folder, display.row("")):
        registry.load_plugins([*map(Path, study.plugins), *plugins])  # a control may be made of a user's part
        made = arms(study)
        executor.ready(folder, [arm.recipe.train for arm in made])
        store.freeze(folder, study)
        planned = _plan(study, folder, plugins, parallel, display.row(""))
        every = store.keys(study, made, planned["asked"]["data"], planned["plugins"])
        wanted = _train(study, folder, made, every, plugins, parallel, display, start, executor)
        records = store.finished(folder, [key for _, key in wanted])
        closing = complete(records, wanted)
        test = _close(folder, made, records, study, parallel, display, executor) if closing else None
        document = judge(study, made, list(records.values()), test, folder)
        write_json(folder / "verdicts.json", document)
    counts = {
        "runs": len(wanted),
        "failed": sum(record.status == "failed" for record in records.values()),
        "missing": len(wanted) - len(records),
    }
    return {**counts, "closed": closing, "seconds": time.monotonic() - start, **document}


def _plan(study: Study, folder: Path, plugins: Sequence[Path], parallel: int, events: Events) -> dict[str, Any]:
    """The pre-flight; the one that is there already where study, parts and data are the same."""
    path = folder / "plan.json"
    source = registry.load_plugins([*map(Path, study.plugins), *plugins])
    data = manifests(arms(study), events)
    asked = {"study": study.model_dump(mode="json"), "plugins": source, "jobs": parallel, "data": data}
    if path.exists():
        planned = read_json(path)
        if planned.get("asked") == plain_json(asked):
            return planned
    planned = plan(study, plugins, events, parallel, folder.parent) | {"asked": asked}
    for note in planned["notes"]:
        events.say(note)
    write_json(path, planned)
    return planned


def manifests(made: Sequence[Arm], events: Events) -> dict[str, str]:
    """{arm: fingerprint of its data}; arms with the same data share the reading, which may take a while at first."""
    known: dict[str, str] = {}
    found = {}
    with working(events, "read the data", len(made)):
        for done, arm in enumerate(made, start=1):
            data = fingerprint(arm.recipe.data)
            if data not in known:
                task: Task = registry.task(arm.recipe.task)[1](arm.recipe)
                known[data] = task.data((arm.stream, 0)).manifest
            found[arm.name] = known[data]
            events.advance(done, {})
    return found


def complete(records: Mapping[RunKey, RunRecord], wanted: Sequence[tuple[Arm, RunKey]]) -> bool:
    """Whether every wanted run has ended, and none of them failed."""
    return all(key in records and records[key].status != "failed" for _, key in wanted)


def _train(
    study: Study,
    folder: Path,
    made: Sequence[Arm],
    every: Sequence[tuple[Arm, RunKey]],
    plugins: Sequence[Path],
    parallel: int,
    display: Display,
    start: float,
    executor: Executor = LOCAL,
) -> list[tuple[Arm, RunKey]]:
    """Do the runs without a record, from look to look where the study has looks; returns the runs that it wants."""
    while True:
        wanted = looks.runs_now(study, made, every, folder)
        train_missing(study, folder, wanted, plugins, parallel, display, start, executor)
        if not study.seeds.looks:
            return wanted
        records = store.finished(folder, [key for _, key in wanted])
        said = looks.advance(folder, study, made, wanted, records, score_table(study, list(records.values())))
        if said:
            display.row("").say(looks.lines(said))
        if not said or not looks.going(made, looks.read_log(folder)):
            return wanted


def train_missing(
    study: Study,
    folder: Path,
    wanted: Sequence[tuple[Arm, RunKey]],
    plugins: Sequence[Path],
    parallel: int,
    display: Display,
    start: float,
    executor: Executor = LOCAL,
) -> None:
    """Do the runs without a record, and once more those that failed."""
    events = display.row("")
    files = [file.absolute() for file in (*map(Path, study.plugins), *plugins)]
    total, may_start = len(wanted), _may_start(study, folder, start, events)
    firsts = shared.firsts(wanted)
    peaks = Peaks({} if choose(study.baseline.train).cuda else planned(folder))  # on a card the plan's is the card's
    for attempt in range(TRIES):
        records = store.finished(folder, [key for _, key in wanted])
        for arm, key in wanted:
            if key in records:
                peaks.note(arm, records[key])
        todo = [(arm, key) for arm, key in wanted if key not in records or records[key].status == "failed"]
        if attempt == 0 and len(todo) < total:
            events.say(f"{total - len(todo)} of {total} runs are done already")
        if not todo:
            return
        again = sum(key in records for _, key in todo)
        if attempt and again:
            events.say(f"{again} that failed: once more, one at a time")
        by_name = {_name(key): (arm, key) for arm, key in todo}
        work = [
            Job(
                _name(key),
                train_with_plugins,
                (arm, key, folder.absolute(), study.judge, files, firsts.get(key)),
                needs(arm.recipe.train),
                folder.absolute() / key.folder / PROGRESS,
                partial(peaks.of, arm.name),
            )
            for arm, key in shared.in_order(todo, firsts)
        ]
        done = total - len(todo)
        with working(events, "runs", total):
            events.advance(done, {})
            for job, error in executor.execute(work, parallel if attempt == 0 else 1, display, may_start):
                done += 1
                arm, key = by_name[job.name]
                peaks.note(arm, _settle(folder, key, error, events))
                events.advance(done, {})


def _name(key: RunKey) -> str:
    return f"{key.arm}, seed {key.seed}"


def train_with_plugins(
    arm: Arm,
    key: RunKey,
    folder: Path,
    judged: Judge,
    plugins: Sequence[Path],
    first: RunKey | None,
    events: Events,
) -> RunRecord:
    """One run in a process of its own, which knows the user's parts only after loading them."""
    registry.load_plugins(list(plugins))
    return train(arm, key, folder, judged, events, plugins, first)


def _may_start(study: Study, folder: Path, start: float, events: Events) -> Callable[[], bool]:
    def may() -> bool:
        store.check_space(folder)
        hours = (time.monotonic() - start) / 3600
        if study.max_hours is None or hours < study.max_hours:
            return True
        events.say(f"max_hours: {hours:.2f} h of {study.max_hours} h are used; no further run starts")
        return False

    return may


def _settle(folder: Path, key: RunKey, error: str, events: Events) -> RunRecord:
    """Say how a run ended, and return its record; one whose process died gets one that says so."""
    record = store.finished(folder, [key]).get(key)
    if error and (record is None or record.status == "failed"):
        record = RunRecord(key, "failed", error=error, environment=environment())
        write_record(folder, record)
    if record is None:
        raise StoreError(f"{_name(key)} ended without a record in {folder / key.folder}")
    if error and record.status != "failed":
        clear(folder / key.folder)
    if record.status != "done":
        events.say(f"{_name(key)} {record.status}: {record.error}")
    return record


def _close(
    folder: Path,
    made: Sequence[Arm],
    records: Mapping[RunKey, RunRecord],
    study: Study,
    parallel: int,
    display: Display,
    executor: Executor,
) -> Scores:
    """Score test once for every run, draw the pictures; returns the judge's metric on test."""
    done = [record for record in records.values() if record.status == "done"]
    if not (folder / "final.json").exists():
        needed, place = needs(study.baseline.train), folder.absolute()
        work = [Job(f"test of {_name(record.key)}", close.score_run, (place, record), needed) for record in done]
        for job, error in executor.execute(work if close.has_test(study) else [], parallel, display, lambda: True):
            if error:
                raise StoreError(f"{job.name}: {error}; the same command tries it again")
        close.pictures(folder, made, {(r.key.arm, r.key.seed): r for r in done}, study.seeds[0])
    if not close.has_test(study):
        return {}
    return close.final(folder, study, made, list(records.values()))
