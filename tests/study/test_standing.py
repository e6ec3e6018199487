"""How a study stands, as another process reads it: every state, the pace, a run that is under way."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tiny_study import TINY, tiny

from ablab.engine.events import Silent
from ablab.errors import ConfigError
from ablab.measure import peak_memory_mb
from ablab.records import RunKey, RunRecord, write_json, write_record
from ablab.study import claims, spec, store
from ablab.study.design import arms
from ablab.study.listing import listing, verdict
from ablab.study.owner import this_process
from ablab.study.progress import Progress
from ablab.study.standing import latest, standing
from ablab.study.tidy import tidy
from ablab.study.train import train

ME = this_process()
GONE = replace(ME, born=ME.born - 3600)  # another process that had this number


def key(arm: str, seed: int, fingerprint: str = "0123456789abcdef") -> RunKey:
    return RunKey("tiny", arm, seed, fingerprint)


def record(arm: str, seed: int, status: Any = "done", error: str = "", seconds: float = 100.0) -> RunRecord:
    return RunRecord(key(arm, seed), status, error=error, cost={"run_seconds": seconds} if status == "done" else {})


def claim(place: Path, who: Any, **progress: Any) -> None:
    write_json(place / "claim-0.json", asdict(who))
    if progress:
        write_json(place / "progress.json", progress)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three arms under five seeds, in every state that a run may have."""
    folder = tmp_path / "shelf" / "tiny"
    store.freeze(folder, tiny(seeds=5))
    write_record(folder, record("baseline", 0))
    write_record(folder, record("a/a", 0))
    write_record(folder, record("cbam", 0, "diverged", "the loss became NaN"))
    write_record(folder, record("cbam", 1, "failed", "first\nsecond\nno space left"))
    claim(
        folder / key("baseline", 1).folder,
        ME,
        work="train",
        epoch=2,
        epochs=3,
        loss=1.5,
        images_per_second=20.0,
        seconds=60.0,
        left_seconds=40.0,
    )
    claim(folder / key("a/a", 1).folder, GONE, work="train", left_seconds=1.0)
    broken = folder / key("baseline", 2).folder / "record.json"
    write_record(folder, record("baseline", 2))
    broken.write_text(broken.read_text()[:30])
    plan = {"arms": [{"arm": arm.name, "run_seconds": 10.0} for arm in arms(tiny())], "jobs": 2}
    write_json(folder / "plan.json", plan)
    return folder


def test_every_state_is_told(folder: Path) -> None:
    stands = standing(folder)
    assert (stands["name"], stands["runs"], stands["at_most"]) == ("tiny", 15, False)
    assert stands["counts"] == {
        "done": 2,
        "diverged": 1,
        "failed": 1,
        "running": 1,
        "interrupted": 1,
        "damaged": 1,
        "unread": 0,
        "waiting": 8,
    }
    (run,) = stands["running"]
    assert (run["arm"], run["seed"], run["epoch"], run["epochs"], run["loss"]) == ("baseline", 1, 2, 3, 1.5)
    assert run["process"] == f"process {os.getpid()} on {ME.host}"
    failures = {(run["arm"], run["seed"]): run["error"] for run in stands["failures"]}
    assert failures["cbam", 1] == "first\nsecond\nno space left"
    assert "record.json is damaged" in failures["baseline", 2]
    assert len(failures) == 3


def test_a_record_of_a_newer_version_is_not_called_damaged(folder: Path) -> None:
    path = folder / key("cbam", 0).folder / "record.json"
    write_record(folder, record("cbam", 0))
    path.write_text(path.read_text().replace('"version": 1', '"version": 1000'))
    stands = standing(folder)
    assert (stands["counts"]["unread"], stands["counts"]["damaged"]) == (1, 1)
    (error,) = [run["error"] for run in stands["failures"] if run["state"] == "unread"]
    assert "1000" in error
    assert "newer" in error


def test_time_left_and_pace(folder: Path) -> None:
    """By hand: baseline and a/a take 100 s as measured, cbam the plan's 10 s; two at a time."""
    waiting = 2 * 100 + 3 * 100 + 3 * 10  # baseline 3, 4; a/a 2, 3, 4; cbam 2, 3, 4
    undone = 40 + 100 + 100 + 10  # baseline 1 by its own reckoning, a/a 1, the damaged one, the failed one
    stands = standing(folder)
    assert stands["left_seconds"] == (waiting + undone) / 2
    assert (stands["driver"], stands["per_hour"]) == (None, None)
    since = (datetime.now(UTC) - timedelta(hours=2)).isoformat(timespec="seconds")
    write_json(folder / "driver.json", asdict(replace(ME, since=since)))
    stands = standing(folder)
    assert stands["driver"]["alive"] is True
    assert stands["per_hour"] == pytest.approx(4 / 2, rel=0.01)  # four records in two hours
    write_json(folder / "driver.json", asdict(GONE))
    assert standing(folder)["driver"] is None


def test_a_holder_elsewhere_works_as_long_as_it_touches_its_claim(folder: Path) -> None:
    place = folder / key("a/a", 2).folder
    claim(place, replace(ME, host="elsewhere"))
    assert standing(folder)["counts"]["running"] == 2
    os.utime(place / "claim-0.json", (1, 1))
    assert standing(folder)["counts"]["running"] == 1
    claim(folder / key("a/a", 0).folder, ME)  # its record stands: it is done, whoever tidies there
    assert standing(folder)["counts"]["done"] == 2


def test_of_two_folders_of_a_run_the_newer_counts(folder: Path) -> None:
    old = folder / key("baseline", 0).folder / "record.json"
    os.utime(old, (1, 1))
    write_record(folder, replace(record("baseline", 0, "failed", "x"), key=key("baseline", 0, "f" * 16)))
    assert standing(folder)["counts"]["done"] == 1
    os.utime(old)
    os.utime(folder / key("baseline", 0, "f" * 16).folder / "record.json", (1, 1))
    assert standing(folder)["counts"]["done"] == 2


def test_a_driver_tidies_what_it_finds(folder: Path) -> None:
    """The rule: a snapshot goes where a record stands, or a newer one of the same arm and seed; else it stays."""
    done, failed, under_way = (
        folder / key(*run).folder / "snapshot.safetensors" for run in (("a/a", 0), ("cbam", 1), ("a/a", 1))
    )
    edited = folder / key("a/a", 0, "f" * 16).folder / "snapshot.safetensors"
    later = folder / key("a/a", 0, "e" * 16).folder / "snapshot.safetensors"
    claim(done.parent, GONE, work="evaluate")  # it was killed when its record stood
    left = [
        *done.parent.glob("*claim*"),
        done.with_name("progress.json"),
        done.with_name(".test.json.x1"),
        folder / ".verdicts.json.x2",
        folder / "panels" / ".a.png.x3",
    ]
    for path in (done, failed, under_way, edited, later, *left):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.utime(edited, (1, 1))
    in_an_hour = time.time() + 3600
    os.utime(later, (in_an_hour, in_an_hour))
    with store.driving(folder):
        assert json.loads((folder / "driver.json").read_text())["pid"] == os.getpid()
    assert not (folder / "driver.json").exists()
    assert [path.exists() for path in (done, edited, failed, under_way, later)] == [False, False, True, True, True]
    assert not [path for path in left if path.exists()]
    stands = standing(folder)
    assert (stands["counts"]["damaged"], stands["counts"]["interrupted"]) == (0, 3)  # a/a 0 was edited
    assert len(stands["set_aside"]) == 1
    assert tidy(folder) == []


def test_the_latest_of_a_shelf(folder: Path) -> None:
    other = folder.parent / "other"
    store.freeze(other, tiny(name="other"))
    os.utime(other, (1, 1))
    (folder.parent / "no-study").mkdir()
    assert latest(folder.parent) == folder == latest(folder)
    write_json(other / "driver.json", asdict(ME))
    os.utime(other, (1, 1))
    assert latest(folder.parent) == other
    with pytest.raises(ConfigError, match="holds no study"):
        latest(folder.parent / "no-study")
    with pytest.raises(ConfigError, match="no folder"):
        latest(folder.parent / "nowhere")
    with pytest.raises(ConfigError, match="holds no study and no runs"):
        standing(folder.parent / "no-study")


def test_a_listing_measures_what_a_folder_holds(folder: Path) -> None:
    write_json(folder / "verdicts.json", {"arms": [{"arm": "cbam", "verdict": "helps"}]})
    write_record(folder.parent / "train", record("baseline", 0))
    study, single = listing(folder.parent)
    assert [study[name] for name in ("name", "arms", "seeds", "runs", "finished", "failed", "running", "verdict")] == [
        "tiny",
        3,
        5,
        15,
        3,
        2,
        1,
        "helps: cbam",
    ]
    assert study["bytes"] == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    newest = max(path.stat().st_mtime for path in [folder, *folder.rglob("*")] if path.is_file() or path == folder)
    assert study["changed"] == datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds")
    assert [single[name] for name in ("name", "arms", "runs", "finished")] == ["train", None, None, 1]


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({}, ""),
        ({"a/a": "helps", "placebo/cbam": "hurts"}, ""),
        ({"x": "undecided", "y": "helps", "a/a": "helps"}, "helps: y"),
        ({"x": "undecided", "y": "undecided", "z": "equivalent"}, "equivalent: z"),
        ({"x": "hurts", "y": "hurts"}, "hurts: 2 arms"),
    ],
)
def test_a_verdict_in_a_word(said: dict[str, str], word: str) -> None:
    assert verdict({"arms": [{"arm": arm, "verdict": of} for arm, of in said.items()]}) == word


class Waits(Silent):
    """Stops in the fourth step until it is told to go on."""

    def __init__(self, go: Path) -> None:
        self.go = go

    def advance(self, done: int, values: Any) -> None:
        end = time.monotonic() + 120
        while "loss" in values and done == 4 and not self.go.exists() and time.monotonic() < end:
            time.sleep(0.02)


def under_way(folder: Path, go: Path) -> None:
    claims.BEAT_SECONDS = 0.02
    settings = {"epochs": 2, "image_size": 64, "batch": 4, "threads": 1}
    arm = arms(tiny(baseline=TINY["baseline"] | {"train": settings}))[0]
    train(arm, key("baseline", 0), folder, spec.Judge(metric="AP50"), Waits(go))


def test_a_run_under_way_is_seen_from_another_process(tmp_path: Path) -> None:
    folder, go = tmp_path / "tiny", tmp_path / "go"
    store.freeze(folder, tiny())
    process = multiprocessing.get_context("fork").Process(target=under_way, args=(folder, go))
    process.start()
    end = time.monotonic() + 120
    seen: dict[str, Any] = {}
    while seen.get("done") != 4 and time.monotonic() < end and process.is_alive():
        time.sleep(0.02)
        seen = next(iter(standing(folder)["running"]), {})
    go.touch()
    process.join(120)
    assert process.exitcode == 0
    assert {name: seen[name] for name in ("arm", "seed", "work", "done", "total", "epoch", "epochs")} == {
        "arm": "baseline",
        "seed": 0,
        "work": "train",
        "done": 4,  # of 2 epochs of 3 batches
        "total": 6,
        "epoch": 2,
        "epochs": 2,
    }
    assert seen["loss"] > 0
    assert seen["images_per_second"] > 0
    assert seen["left_seconds"] > 0
    stands = standing(folder)
    assert (stands["counts"]["done"], stands["running"]) == (1, [])
    place = folder / key("baseline", 0).folder
    assert not [*place.glob("claim-*"), *place.glob("progress.json"), *place.glob(".*")]


class Writes(Silent):
    """Says it in a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def say(self, text: str) -> None:
        with self.file.open("a") as opened:
            opened.write(text + "\n")


def comes_second(folder: Path, said: Path) -> None:
    arm = arms(tiny())[0]
    record = train(arm, key("baseline", 0), folder, spec.Judge(metric="AP50"), Writes(said))
    said.write_text(said.read_text() + f"{record.status}, {record.cost['train_seconds']}\n")


def test_who_comes_second_to_a_run_waits_and_takes_what_the_first_wrote(tmp_path: Path) -> None:
    """What two drivers would do, were the study's folder not locked: on a file system without locks it is not."""
    folder, go, said = tmp_path / "tiny", tmp_path / "go", tmp_path / "said"
    context = multiprocessing.get_context("fork")
    first = context.Process(target=under_way, args=(folder, go))
    first.start()
    end = time.monotonic() + 120
    while not list(folder.glob("runs/*/*/claim-0.json")) and time.monotonic() < end:
        time.sleep(0.02)
    second = context.Process(target=comes_second, args=(folder, said))
    second.start()
    while not said.exists() and time.monotonic() < end:
        time.sleep(0.02)
    go.touch()
    for process in (first, second):
        process.join(120)
        assert process.exitcode == 0
    place = folder / key("baseline", 0).folder
    seconds = json.loads((place / "record.json").read_text())["cost"]["train_seconds"]
    assert said.read_text().splitlines() == [
        f"process {first.pid} on {ME.host} does this run already; waiting for it",
        f"done, {seconds}",
    ]


def test_progress_reckons_from_where_it_went_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that goes on at step 50 of 100 and does 10 steps in 20 s has 40 steps, 80 s, left."""
    now = [1000.0]
    monkeypatch.setattr("ablab.study.progress.time.monotonic", lambda: now[0])
    told = Progress(Silent(), tmp_path, 4)
    told.begin("train", 100)
    told.advance(50, {})
    now[0] += 20
    told.advance(60, {"epoch": 3, "loss": 0.25, "images/s": 12.0})
    told.begin("validate", 9)
    told.advance(1, {})
    told.write()
    found = json.loads((tmp_path / "progress.json").read_text())
    assert found.pop("memory_mb") == pytest.approx(peak_memory_mb(), rel=0.01)
    assert found == {
        "work": "validate",
        "done": 60,
        "total": 100,
        "epochs": 4,
        "epoch": 3,
        "loss": 0.25,
        "images_per_second": 12.0,
        "left_seconds": 80.0,
        "seconds": 20.0,
    }
    (tmp_path / "progress.json").unlink()
    told.write()
    assert not (tmp_path / "progress.json").exists()  # nothing new
