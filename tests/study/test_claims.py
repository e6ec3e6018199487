"""One process does a run: claims that are raced for, waited for, taken over and lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tiny_study import tiny
from told import Told

from ablab.engine.events import Silent
from ablab.errors import StoreError
from ablab.records import RunKey, RunRecord
from ablab.study import claims
from ablab.study import train as training
from ablab.study.claims import claimed, holder
from ablab.study.design import arms
from ablab.study.owner import Owner, alive, owner, this_process
from ablab.study.progress import Progress


def progress(place: Path) -> Progress:
    return Progress(Told(), place, 1)


def ended() -> Owner:
    """A process of this machine that is no more."""
    code = (
        "import json; from dataclasses import asdict; from ablab.study.owner import this_process\n"
        "print(json.dumps(asdict(this_process())))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = owner(json.loads(done.stdout))
    assert found
    return found


def leave(place: Path, who: Owner | None, number: int = 0) -> Path:
    """A claim as somebody left it; None died before it wrote its name."""
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"claim-{number}.json"
    path.write_text(json.dumps(asdict(who)) if who else "")
    return path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(claims, "LOOK_SECONDS", 0.02)


def test_a_process_knows_itself_and_the_dead() -> None:
    me, dead = this_process(), ended()
    assert owner(json.loads(json.dumps(asdict(me)))) == me
    assert alive(me) is True
    assert alive(dead) is False
    assert alive(replace(me, born=me.born - 3600)) is False  # another process had this number before
    assert alive(replace(me, host="elsewhere")) is None
    assert alive(replace(me, machine="another container of this name")) is None
    assert owner(["no", "owner"]) is owner({"pid": 1}) is owner(None) is None


def test_a_zombie_is_gone() -> None:
    code = (
        "import json; from dataclasses import asdict; from ablab.study.owner import this_process\n"
        "print(json.dumps(asdict(this_process())), flush=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    found = owner(json.loads(process.stdout.readline()))
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how
    assert found
    assert alive(found) is False
    process.communicate()


def test_a_claim_names_its_holder_and_goes_with_it(tmp_path: Path) -> None:
    with claimed(tmp_path / "run", progress(tmp_path / "run")):
        number, who = holder(tmp_path / "run") or (-1, None)
        assert (number, who and who.pid, who and alive(who)) == (0, os.getpid(), True)
    assert holder(tmp_path / "run") is None
    assert list((tmp_path / "run").iterdir()) == []


def test_a_dead_holders_run_is_taken_over_at_once(tmp_path: Path) -> None:
    leave(tmp_path, ended(), 0)
    leave(tmp_path, ended(), 1)
    with claimed(tmp_path, progress(tmp_path)) as claim:
        assert claim.number == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("who", [replace(this_process(), host="elsewhere"), None])
def test_a_silent_holder_elsewhere_is_waited_for_and_then_taken_over(
    tmp_path: Path, who: Owner | None, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "STALE_SECONDS", 0.4)
    path, told = leave(tmp_path, who), progress(tmp_path)
    touched, end = list[float](), threading.Event()

    def touch() -> None:
        while len(touched) < 10:
            os.utime(path)
            touched.append(time.monotonic())
            end.wait(0.1)

    thread = threading.Thread(target=touch)
    thread.start()
    with claimed(tmp_path, told) as claim:
        taken = time.monotonic()
        assert claim.number == 1
    thread.join()
    assert len(touched) == 10
    assert taken - touched[-1] >= 0.4 - 0.1  # it was waited for as long as it showed itself
    assert isinstance(told.events, Told)
    assert told.events.said == [f"{who or 'another process'} does this run already; waiting for it"]


def test_a_holder_that_was_silent_notices_and_leaves_the_other_alone(tmp_path: Path, quick: None) -> None:
    told = progress(tmp_path)
    with claimed(tmp_path, told) as claim:
        told.check()
        other = leave(tmp_path, replace(this_process(), host="elsewhere"), 1)
        end = time.monotonic() + 30
        while not claim.lost and time.monotonic() < end:
            time.sleep(0.01)
        with pytest.raises(StoreError, match="another one took the run over"):
            told.advance(1, {})
    assert other.exists()


def test_a_claim_that_another_took_finished_and_tidied_is_lost(tmp_path: Path) -> None:
    with claimed(tmp_path, progress(tmp_path)) as claim:
        (tmp_path / "claim-0.json").unlink()
        claim.touch()
        with pytest.raises(StoreError, match="took the run over"):
            claim.check()


def test_a_run_that_was_taken_over_while_its_process_slept_writes_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process wakes between its last step and its record, before its claim's next beat."""
    study = tiny()
    arm, key = arms(study)[0], RunKey(study.name, "baseline", 0, "f")
    place = tmp_path / key.folder

    def sleep(*_: object) -> RunRecord:
        leave(place, replace(this_process(), host="elsewhere"), 1)
        return RunRecord(key, "done")

    monkeypatch.setattr(claims, "BEAT_SECONDS", 3600.0)
    monkeypatch.setattr(training, "_outcome", sleep)
    with pytest.raises(StoreError, match="another one took the run over"):
        training.train(arm, key, tmp_path, study.judge, Told())
    assert not (place / "record.json").exists()
    assert (place / "claim-1.json").exists()


def hold(place: Path, log: Path, times: int) -> None:
    """Hold a run again and again, and say when."""
    claims.LOOK_SECONDS = 0.001
    for _ in range(times):
        with claimed(place, Progress(Silent(), place, 1)), log.open("a") as file:
            file.write(f"in {os.getpid()}\n")
            file.flush()
            time.sleep(0.002)
            file.write(f"out {os.getpid()}\n")


def test_many_processes_never_hold_one_run_at_once(tmp_path: Path) -> None:
    log, place = tmp_path / "log", tmp_path / "run"
    leave(place, ended())  # all of them want to take over at once
    context = multiprocessing.get_context("fork")
    holders = [context.Process(target=hold, args=(place, log, 6)) for _ in range(6)]
    for process in holders:
        process.start()
    for process in holders:
        process.join(120)
        assert process.exitcode == 0
    lines = log.read_text().split("\n")[:-1]
    assert len(lines) == 2 * 6 * 6
    for entered, left in zip(lines[::2], lines[1::2], strict=True):
        assert entered.replace("in", "out") == left


def test_a_folder_that_cannot_be_written_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(StoreError, match="cannot write into"),
        claimed(tmp_path / "file", progress(tmp_path)),
    ):
        pass
