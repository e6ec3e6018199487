"""Studies of other designs for the reports to draw: the records that `study` writes, over invented scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ablab.records import RunKey, RunRecord, write_json, write_record
from ablab.study import looks, spec, store
from ablab.study.design import arms
from ablab.study.judge import judge, score_table

GAINS = {"a": 0.05, "b": -0.03, "c": 0.02, "d": 0.0, "e": 0.01, "f": -0.01}
TOGETHER = 0.04  # what a and b give beyond their sum
FIELDS = ("train.batch", "train.epochs", "optimizer.lr", "augment.mosaic", "optimizer.weight_decay", "schedule.final")
VALUES = (2, 2, 0.1, 0.5, 0.1, 0.5)


def write(folder: Path, design: str, count: int, seeds: Any = 5, most: int = 99) -> Path:
    """A finished study of so many changes; with looks, as `run` leaves it after `most` of them."""
    changes = [
        {"name": name, "because": f"why not {name}?", "set": {field: value}}
        for name, field, value in zip(list(GAINS)[:count], FIELDS, VALUES, strict=False)
    ]
    asked = {
        "name": design,
        "baseline": {"task": "detection", "data": {"path": "photo-digits"}},
        "changes": changes,
        "design": design,
        "seeds": seeds,
        "judge": {"metric": "AP50", "smallest_interesting": 0.01},
    }
    study = spec.build(asked, "designed.yaml", Path.cwd())
    made, rng = arms(study), np.random.default_rng(3)
    shifts = rng.normal(0.6, 0.05, len(study.seeds))
    noise = {(arm.name, seed): 0.006 * rng.normal() for arm in made for seed in range(len(study.seeds))}
    keys = [(arm, RunKey(study.name, arm.name, seed, f"{seed:016x}")) for seed in study.seeds for arm in made]

    def record(arm: Any, key: RunKey) -> RunRecord:
        gain = sum(GAINS[name] for name in arm.changes) + TOGETHER * ({"a", "b"} <= set(arm.changes))
        score = float(shifts[key.seed] + gain + noise[arm.name, key.seed])
        return RunRecord(key, "done", scores={"validation": {study.judge.metric: score}}, batch_hash=f"{key.seed}")

    done: dict[RunKey, RunRecord] = {}
    write_json(folder / "study.json", store.describe(study))
    for _ in range(min(most, len(study.seeds.looks) or 1)):
        now = looks.runs_now(study, made, keys, folder)
        done |= {key: record(arm, key) for arm, key in now}
        table = score_table(study, list(done.values()))
        if study.seeds.looks and not looks.advance(folder, study, made, now, done, table):
            break
    for each in done.values():
        write_record(folder, each)
    log = looks.read_log(folder) if study.seeds.looks else []
    document = judge(study, made, list(done.values()))
    if log:  # without a folder `judge` does not read the log
        rows = looks.verdicts(study, made, score_table(study, list(done.values())), log)
        document |= {"arms": rows, "looks": looks.summary(study, made, log)}
    write_json(folder / "verdicts.json", document)
    return folder
