"""Closing a study: the one reading of the test split, and the pictures of what each change fixed and broke."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ablab import registry
from ablab.contracts import Task
from ablab.engine.events import Events
from ablab.records import RunRecord, read_items, read_json, slug, write_bytes, write_json
from ablab.study import looks
from ablab.study.design import Arm
from ablab.study.factorial import factorial
from ablab.study.judge import Scores, verdicts
from ablab.study.spec import Study
from ablab.study.train import score_split


def has_test(study: Study) -> bool:
    """Whether the baseline's data has a test split at all."""
    task: Task = registry.task(study.baseline.task)[1](study.baseline)
    return len(task.data((study.name, 0)).test) > 0


def score_run(folder: Path, record: RunRecord, events: Events) -> None:
    """Score one finished run on test; what was scored before is kept."""
    place = folder / record.key.folder
    if not (place / "test.json").exists():
        write_json(place / "test.json", score_split(place, "test", events))


def final(folder: Path, study: Study, made: Sequence[Arm], records: Sequence[RunRecord]) -> Scores:
    """Gather every run's test scores into `final.json`, once; returns the judge's metric on test.

    Verdicts stand there too, and describe: what was decided was decided on the judge's split.
    """
    path = folder / "final.json"
    if not path.exists():
        done = [record for record in records if record.status == "done"]
        scores: dict[str, dict[str, Any]] = {record.key.arm: {} for record in done}
        for record in done:
            scores[record.key.arm][str(record.key.seed)] = read_json(folder / record.key.folder / "test.json")
        log = looks.read_log(folder)
        rows = verdicts(study, made, _table(study, records, scores), log, binding=False)
        combined = factorial(study, made, _table(study, records, scores))
        read = datetime.now(UTC).isoformat(timespec="seconds")
        document = {"split": "test", "read": read, "scores": scores, "verdicts": rows}
        write_json(path, document | ({"factorial": combined} if combined else {}))
    return _table(study, records, read_json(path)["scores"])


def _table(study: Study, records: Sequence[RunRecord], scores: Mapping[str, Any]) -> Scores:
    """{arm: {seed: score}}; a diverged run has the declared score."""
    table: Scores = {record.key.arm: {} for record in records}
    for record in records:
        if record.status == "failed":
            continue
        scored = scores.get(record.key.arm, {}).get(str(record.key.seed))
        found = scored[study.judge.metric] if scored else study.judge.on_divergence
        table[record.key.arm][record.key.seed] = math.nan if found is None else found
    return table


def log_reading(place: Path) -> str:
    """Note a second reading of test in the study that a run belongs to; returns a warning, or "" where it is none."""
    folder = next((parent for parent in place.resolve().parents if (parent / "final.json").exists()), None)
    if folder is None:
        return ""
    log = folder / "test-readings.json"
    readings = [*(read_json(log) if log.exists() else []), {"run": place.name, "read": datetime.now(UTC).isoformat()}]
    write_json(log, readings)
    return (
        f"test was scored when the study closed; this is reading {len(readings) + 1} of it, and it is logged in {log}. "
        "What is chosen after looking at test is no longer tested by it."
    )


def pictures(folder: Path, made: Sequence[Arm], records: Mapping[tuple[str, int], RunRecord], seed: int) -> None:
    """Write `panels/`: for each arm, the images that it fixed and those that it broke of the arm that it is compared
    with, at one seed. A factorial's cells of several changes are left out: its answers are no single arm's."""
    rows = []
    for arm in made:
        record, other = (records.get((name, seed)) for name in (arm.name, arm.against))
        drawn = arm.kind == "change" or (arm.kind == "cell" and len(arm.changes) == 1)
        if not drawn or record is None or other is None:
            continue
        task: Task = registry.task(arm.recipe.task)[1](arm.recipe)
        before, after = ((_evidence(folder, r), r.settings) for r in (other, record))
        for index, panel in enumerate(task.panels(before, after, "validation", arm.name, arm.against)):
            file = f"{slug(arm.name)}-{index}.png"
            write_bytes(folder / "panels" / file, panel.png)
            kind = panel.title.partition(":")[0]
            rows.append(
                {
                    "arm": arm.name,
                    "seed": seed,
                    "kind": kind,
                    "title": panel.title,
                    "caption": panel.caption,
                    "file": file,
                }
            )
    write_json(folder / "panels" / "panels.json", rows)


def _evidence(folder: Path, record: RunRecord) -> dict[str, Any]:
    return read_items(folder / record.key.folder / "items-validation.npz")
