"""A whole study in small: trained, resumed, killed, judged."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_study import TINY, tiny
from told import Told

from ablab import records
from ablab.engine.events import Silent
from ablab.errors import ConfigError, Damaged, StoreError, UserError
from ablab.records import RunRecord
from ablab.study import design, store
from ablab.study import run as running
from ablab.study.executors import local


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The tiny study, run once for the tests of this file."""
    folder = tmp_path_factory.mktemp("study") / "tiny"
    return folder, running.run(tiny(), folder, jobs=2, display=Silent())


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def read(folder: Path) -> dict[tuple[str, int], RunRecord]:
    return {(r.key.arm, r.key.seed): r for r in records.read_records(folder)}


def test_every_arm_is_trained_under_every_seed_and_judged(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, outcome = finished
    found = read(folder)
    assert set(found) == {(arm, seed) for arm in ("baseline", "cbam", "a/a") for seed in (0, 1)}
    assert {record.status for record in found.values()} == {"done"}
    assert (outcome["runs"], outcome["failed"], outcome["closed"]) == (6, 0, True)
    assert [row["arm"] for row in outcome["arms"]] == ["cbam", "a/a"]
    assert outcome["label"] == "screening"
    for row in outcome["arms"]:  # a split's scenes stand on four photographs at most, which are what is resampled
        assert 1 < row["population"]["groups"] <= 4
        assert "fewer than 10" in row["population"]["refused"]


def test_arms_under_one_seed_see_the_same_batches_and_a_control_does_not(finished: tuple[Path, dict[str, Any]]) -> None:
    found = read(finished[0])
    for seed in (0, 1):
        assert found["baseline", seed].batch_hash == found["cbam", seed].batch_hash != found["a/a", seed].batch_hash
    assert found["baseline", 0].batch_hash != found["baseline", 1].batch_hash


def test_an_edit_is_reported_with_its_sites(finished: tuple[Path, dict[str, Any]]) -> None:
    found = read(finished[0])
    sites = found["cbam", 0].edits.sites
    assert [site.name for site in sites] == [f"backbone.out.p{level}.cbam" for level in (3, 4, 5)]
    gained = found["cbam", 0].cost["parameters"] - found["baseline", 0].cost["parameters"]
    assert gained == found["cbam", 0].edits.parameters == sum(site.parameters for site in sites)


def test_test_is_scored_once_and_for_every_run(finished: tuple[Path, dict[str, Any]]) -> None:
    final = records.read_json(finished[0] / "final.json")
    assert final["split"] == "test"
    assert {(arm, seed) for arm, row in final["scores"].items() for seed in row} == {
        (arm, str(seed)) for arm in ("baseline", "cbam", "a/a") for seed in (0, 1)
    }
    assert all("AP50" in scores for row in final["scores"].values() for scores in row.values())


def test_a_second_run_trains_nothing(finished: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a finished study started a process")

    monkeypatch.setattr(local, "_launch", never)
    again = running.run(tiny(), finished[0], jobs=2, display=Silent())
    assert again["arms"] == finished[1]["arms"]


def test_only_what_is_missing_is_trained_and_comes_out_the_same(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = copied(finished[0], tmp_path / "tiny")
    before = read(folder)
    lost = before["cbam", 1]
    shutil.rmtree(folder / lost.key.folder)
    kept = folder / before["baseline", 0].key.folder / "record.json"
    stamp = kept.stat().st_mtime_ns
    running.run(tiny(), folder, jobs=1, display=Silent())
    again = read(folder)["cbam", 1]
    assert again.scores == lost.scores
    assert again.batch_hash == lost.batch_hash
    weights = (lost.key.folder / "weights.safetensors").as_posix()
    assert (folder / weights).read_bytes() == (finished[0] / weights).read_bytes()
    assert kept.stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    "other", [{"seeds": 3}, {"judge": {"metric": "AP", "smallest_interesting": 0.05}}, {"controls": []}]
)
def test_what_was_frozen_may_not_change(finished: tuple[Path, dict[str, Any]], other: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="frozen with its first run"):
        store.freeze(finished[0], tiny(**other))


def test_no_run_starts_when_the_hours_are_used_up(tmp_path: Path) -> None:
    outcome = running.run(tiny(max_hours=1e-9), tmp_path / "s", display=Silent())
    assert (outcome["runs"], outcome["missing"], outcome["failed"], outcome["closed"]) == (6, 6, 0, False)
    assert {row["verdict"] for row in outcome["arms"]} == {"undecided"}


def test_a_damaged_record_is_named_set_aside_and_the_run_done_again(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = copied(finished[0], tmp_path / "tiny")
    path = next(folder.glob("runs/*/*/record.json"))
    before, cut = read(folder), path.read_text()[:40]
    path.write_text(cut)
    with pytest.raises(Damaged, match=r"record\.json is damaged: .*move it away"):  # by those who only read
        records.read_records(folder)
    told = Told()
    running.run(tiny(), folder, display=told)
    assert told.said[0] == f"{path} is damaged; it is set aside beside itself, and the run is done again"
    (aside,) = path.parent.glob("record.json.corrupt-*")
    assert aside.read_text() == cut
    assert {key: record.scores for key, record in read(folder).items()} == {k: r.scores for k, r in before.items()}


def test_a_record_of_a_newer_version_is_refused_and_left_alone(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = copied(finished[0], tmp_path / "tiny")
    path = next(folder.glob("runs/*/*/record.json"))
    newer = path.read_text().replace('"version": 1', '"version": 2')
    path.write_text(newer)
    with pytest.raises(StoreError, match=r"record\.json has record version 2, and this ablab reads up to 1: a newer"):
        running.run(tiny(), folder, display=Silent())
    assert path.read_text() == newer


def test_a_process_that_dies_after_its_record_stood_has_done_its_run(tmp_path: Path) -> None:
    key, told = records.RunKey("tiny", "a/a", 0, "0123456789abcdef"), Told()
    records.write_record(tmp_path, RunRecord(key, "done"))
    for name in ("claim-0.json", "progress.json", "snapshot.safetensors", ".curves.csv.x1", "weights.safetensors"):
        (tmp_path / key.folder / name).touch()
    running._settle(tmp_path, key, "its process was killed", told)
    assert {path.name for path in (tmp_path / key.folder).iterdir()} == {"record.json", "weights.safetensors"}
    assert (read(tmp_path)["a/a", 0].status, told.said) == ("done", [])
    records.write_record(tmp_path, RunRecord(key, "failed", error="before"))
    running._settle(tmp_path, key, "its process was killed", told)
    assert read(tmp_path)["a/a", 0].error == "its process was killed"
    assert told.said == ["a/a, seed 0 failed: its process was killed"]


def test_a_second_try_is_said_before_it_begins(tmp_path: Path) -> None:
    study, told = tiny(), Told()
    arm, key = design.arms(study)[0], records.RunKey("tiny", "baseline", 0, "0123456789abcdef")

    class Doomed:
        def execute(self, jobs: Any, *_: Any) -> Any:
            return ((job, "its process was killed") for job in jobs)

    running.train_missing(study, tmp_path, [(arm, key)], (), 1, told, time.monotonic(), Doomed())  # type: ignore[arg-type]
    failed = "baseline, seed 0 failed: its process was killed"
    assert told.said == [failed, "1 that failed: once more, one at a time", failed]


def test_two_drivers_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        store.driving(tmp_path),
        pytest.raises(StoreError, match=r"another ablab \(process \d+ on .*\) is"),
        store.driving(tmp_path),
    ):
        pass


def test_a_full_disk_stops_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10 * 2**20)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StoreError, match="10 MB are free"):
        running.run(tiny(), tmp_path / "s", display=Silent())


def test_a_broken_arm_is_refused_before_anything_trains(tmp_path: Path) -> None:
    broken = [
        {"name": "lost", "edits": [{"op": "insert", "after": "backbone.nowhere", "part": "cbam"}]},
        {"name": "many", "edits": [{"op": "insert", "after": "backbone.out", "part": "cbam", "expect": 4}]},
    ]
    with pytest.raises(UserError, match=r"(?s)change 'lost'.*backbone.nowhere.*change 'many'.*3.*4|4.*3"):
        running.run(tiny(changes=broken), tmp_path / "s", display=Silent())
    assert not list((tmp_path / "s").glob("runs/*"))


def test_a_diverged_run_gets_the_declared_score_and_the_others_go_on(tmp_path: Path) -> None:
    study = tiny(
        changes=[{"name": "explode", "set": {"optimizer.lr": 1e30, "train.clip_norm": None}}],
        controls=[],
        seeds=[0],
        judge={"metric": "AP50", "on_divergence": 0.0},
    )
    outcome = running.run(study, tmp_path / "s", jobs=2, display=Silent())
    found = read(tmp_path / "s")
    assert found["explode", 0].status == "diverged"
    assert found["baseline", 0].status == "done"
    assert outcome["failed"] == 0
    assert any("explode, seed 0: diverged" in warning for warning in outcome["warnings"])


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_driver_that_dies_loses_only_what_was_under_way(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, how: signal.Signals
) -> None:
    file, folder = tmp_path / "tiny.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(TINY))
    command = [sys.executable, "-m", "ablab", "run", str(file), "--folder", str(folder), "--jobs", "1", "--json"]
    driver = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A shell that runs the tests in the background has told its children to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    end = time.monotonic() + 120
    while not list(folder.glob("runs/*/*/record.json")) and time.monotonic() < end and driver.poll() is None:
        time.sleep(0.05)
    os.kill(driver.pid, how)
    out, _ = driver.communicate(timeout=60)
    if how == signal.SIGINT:
        assert driver.returncode == 1
        assert "what was finished is kept" in json.loads(out)["error"]
    before = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*/record.json")}
    assert before
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert json.loads(done.stdout)["arms"] == json.loads(json.dumps(finished[1]["arms"]))
