"""A study's folder: what was asked, frozen; which runs are finished; one driver at a time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ablab
from ablab.engine.events import Events
from ablab.errors import ConfigError, StoreError
from ablab.records import RunKey, RunRecord, holding, read_json, read_record, write_json
from ablab.study.design import Arm, arms, run_fingerprint, study_fingerprint
from ablab.study.owner import alive, owner, this_process
from ablab.study.spec import Study
from ablab.study.tidy import tidy

FROZEN = (
    "seeds",
    "looks",
    "metric",
    "direction",
    "smallest_interesting",
    "alpha",
    "method",
    "split",
    "group",
    "design",
    "arms",
)
DRIVER = "driver.json"  # who drives the study, for `ablab status`; what keeps others out is the lock
FREE_BYTES = 200 * 2**20  # a run's weights, evidence and curves fit many times over


def keys(study: Study, made: Sequence[Arm], manifests: dict[str, str], plugins: str) -> list[tuple[Arm, RunKey]]:
    """Every run of the study, seed-major: an interrupted study is still paired."""
    return [
        (
            arm,
            RunKey(
                study.name, arm.name, seed, run_fingerprint(arm, seed, manifests[arm.name], plugins, ablab.__version__)
            ),
        )
        for seed in study.seeds
        for arm in made
    ]


def finished(folder: Path, wanted: Sequence[RunKey]) -> dict[RunKey, RunRecord]:
    """The records that exist for these keys, failed ones included."""
    found = {}
    for key in wanted:
        path = folder / key.folder / "record.json"
        record = read_record(path) if path.exists() else None
        if record and record.key == key:
            found[key] = record
    return found


def freeze(folder: Path, study: Study) -> None:
    """Write `study.json`, or hold it against the one that is there once runs are finished.

    Raises ConfigError where the judge, the design, the arms or the seeds differ from what was frozen: changing them
    after results were seen voids alpha (3 -> 6 seeds is wrong 9% of the time at alpha 0.05).
    """
    path = folder / "study.json"
    document = describe(study)
    if path.exists() and any(folder.glob("runs/*/*/record.json")):
        old = read_json(path)
        if old["fingerprint"] != document["fingerprint"]:
            said = [
                f"{k}: {_said(old.get(k))} -> {_said(document[k])}"
                for k in FROZEN
                if _said(old.get(k)) != _said(document[k])
            ]
            raise ConfigError(
                f"the study in {folder} was frozen with its first run, and this differs: {'; '.join(said)}. Changing "
                "it after results were seen voids alpha (3 -> 6 seeds is wrong 9% of the time instead of 5%). Give the "
                "study a new 'name', or another --folder"
            )
        document["created"] = old["created"]
    write_json(path, document)


def _said(value: Any) -> str:
    return (
        ", ".join(arm["name"] for arm in value)
        if isinstance(value, list) and value and isinstance(value[0], dict)
        else str(value)
    )


def describe(study: Study) -> dict[str, Any]:
    """`study.json`: what is asked, in plain data."""
    return {
        "name": study.name,
        "fingerprint": study_fingerprint(study),
        "version": ablab.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **study.judge.model_dump(mode="json"),
        "seeds": list(study.seeds),
        "looks": _looks(study),
        "design": study.design,
        "baseline": study.baseline.model_dump(mode="json"),
        "arms": [
            {
                "name": arm.name,
                "kind": arm.kind,
                "because": arm.because,
                "diff": list(arm.differences),
                "against": "" if arm.kind == "baseline" else arm.against,
                "changes": list(arm.changes),
            }
            for arm in arms(study)
        ],
    }


def _looks(study: Study) -> dict[str, Any] | None:
    """{"at": numbers of seeds, "futility": share or None}; None where the study has no looks."""
    return {"at": list(study.seeds.looks), "futility": study.seeds.futility} if study.seeds.looks else None


@contextmanager
def driving(folder: Path, events: Events | None = None) -> Iterator[None]:
    """Hold the study's folder: a second driver is told so instead of training the same runs twice. Tidies it first.

    Raises StoreError where the folder cannot be written, the disk is nearly full, or another driver is at work.
    """
    busy = f"another ablab{_driver(folder)} is working on {folder}; wait for it, or choose another --folder"
    with holding(folder, busy, "choose another place with --folder"):
        check_space(folder)
        for line in tidy(folder):
            if events:
                events.say(line)
        write_json(folder / DRIVER, this_process())
        try:
            yield
        finally:
            (folder / DRIVER).unlink(missing_ok=True)


def _driver(folder: Path) -> str:
    """Who is at work, for a sentence: "" where it is not known."""
    with suppress(StoreError):
        who = owner(read_json(folder / DRIVER))
        return f" ({who}, since {who.since})" if who and alive(who) is not False else ""
    return ""


def check_space(folder: Path) -> None:
    """StoreError where the disk has no room for another run."""
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        raise StoreError(
            f"{folder}: {free // 2**20} MB are free and a run wants {FREE_BYTES // 2**20}; free some space and run the "
            "same command again: it goes on from there"
        )
