"""Arms that differ only in what comes after training: one trains, the others take its weights; nothing else moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tiny_study import TINY, tiny

from ablab.config import override
from ablab.engine.events import Silent
from ablab.engine.precision import choose
from ablab.records import RunKey, RunRecord, read_json, read_record, write_record
from ablab.study import run as running
from ablab.study.design import Arm, arms
from ablab.study.shared import done, first, firsts, in_order
from ablab.study.train import train

SMALL: dict[str, Any] = TINY["baseline"] | {"model": {"width": 0.05, "depth": 0.1}}
INT8 = {"name": "int8", "after": ["export/onnx-int8"]}
PRUNED = {"name": "pruned", "after": ["prune/0.3"]}
WIDER = {"name": "wider", "set": {"model.width": 0.1}, "after": ["prune/0.3"]}
STUDY = tiny(baseline=SMALL, changes=[INT8, PRUNED, WIDER], controls=[], seeds=1)


def runs(*seeds: int) -> list[tuple[Arm, RunKey]]:
    return [(arm, RunKey("tiny", arm.name, seed, "0" * 16)) for seed in seeds for arm in arms(STUDY)]


def test_it_is_what_the_arm_would_have_trained(tmp_path: Path) -> None:
    """To the bit, weights and evidence; and the plan reckons with one training."""
    folder, there = tmp_path / "tiny", tmp_path / "alone"
    running.run(tiny(baseline=SMALL, changes=[INT8, PRUNED], controls=[], seeds=1), folder, jobs=1, display=Silent())
    records = {record.key.arm: record for record in map(read_record, folder.glob("runs/*/*/record.json"))}
    assert [record.status for record in records.values()] == ["done"] * 3
    for arm in arms(STUDY)[1:3]:
        taken = records[arm.name]
        train(arm, taken.key, there, STUDY.judge, Silent())
        ours, theirs = (place / taken.key.folder for place in (folder, there))
        alone = read_record(theirs / "record.json")
        assert (taken.trained_by, alone.trained_by, taken.notes) == ("baseline", "", alone.notes)
        assert (taken.scores["validation"], taken.settings) == (alone.scores["validation"], alone.settings)
        assert (taken.batch_hash, taken.environment) == (alone.batch_hash, alone.environment)
        assert (ours / "weights.safetensors").read_bytes() == (theirs / "weights.safetensors").read_bytes()
        curves = [[row.split(",")[:6] for row in (place / "curves.csv").open()] for place in (ours, theirs)]
        assert curves[0] == curves[1]
    rows = {row["arm"]: row for row in read_json(folder / "plan.json")["arms"]}
    assert rows["int8"]["steps"] == 0 < rows["pruned"]["steps"]
    assert rows["int8"]["run_seconds"] < rows["baseline"]["run_seconds"]


def test_what_trains_otherwise_trains_alone() -> None:
    baseline, int8, pruned, wider = arms(STUDY)
    made = [baseline, int8, pruned, wider]
    assert [found.name if (found := first(arm, made)) else None for arm in made] == [None, "baseline", "baseline", None]
    assert first(int8, [int8, pruned]) is None
    tuned = replace(pruned, recipe=override(pruned.recipe, {"prune.tune": 0.5}))
    assert first(tuned, made) is baseline  # only what comes after it differs
    assert first(replace(int8, teacher="1234"), made) is None
    assert first(replace(int8, stream="another's luck"), made) is None


def test_each_takes_the_run_of_its_own_seed() -> None:
    found = {(taking.arm, taking.seed): (key.arm, key.seed) for taking, key in firsts(runs(0, 1)).items()}
    assert found == {(name, seed): ("baseline", seed) for name in ("int8", "pruned") for seed in (0, 1)}


def test_those_that_take_come_after_the_next_seeds_others() -> None:
    wanted = runs(4, 2, 7)
    order = [(key.arm, key.seed) for _, key in in_order(wanted, firsts(wanted))]
    assert order == [
        *(("baseline", 4), ("wider", 4), ("baseline", 2), ("wider", 2), ("int8", 4), ("pruned", 4)),
        *(("baseline", 7), ("wider", 7), ("int8", 2), ("pruned", 2), ("int8", 7), ("pruned", 7)),
    ]


def test_only_a_run_that_is_done_here_is_taken(tmp_path: Path) -> None:
    arm = arms(STUDY)[1]
    base = RunRecord(RunKey("tiny", "baseline", 0, "0" * 16), "done", environment=choose(arm.recipe.train).describe())
    assert done(tmp_path, None, arm) is None
    assert done(tmp_path, base.key, arm) is None
    for changed in (
        replace(base, status="diverged"),
        replace(base, environment=base.environment | {"torch": "1.0"}),
        replace(base, environment=base.environment | {"device": "another card"}),
    ):
        write_record(tmp_path, changed)
        assert done(tmp_path, base.key, arm) is None
    (tmp_path / base.key.folder / "record.json").write_text("{")
    assert done(tmp_path, base.key, arm) is None
    write_record(tmp_path, base)
    assert done(tmp_path, base.key, arm)
    assert done(tmp_path, replace(base.key, fingerprint="f" * 16), arm) is None  # of other data, or of another version
