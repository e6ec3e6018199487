"""`ablab status` and `ablab studies`: from another terminal, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from rich.console import Console

from ablab.records import RunKey, RunRecord, write_json, write_record
from ablab.reports.standing import standing_tables, studies_table
from ablab.study.listing import listing
from ablab.study.owner import this_process
from ablab.study.standing import standing

KEY = RunKey("s", "baseline", 0, "0123456789abcdef")


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A study of two arms and two seeds: one run done, one failed, one under way."""
    folder = tmp_path / "runs" / "s"
    arms = [{"name": "baseline"}, {"name": "cbam"}]
    write_json(folder / "study.json", {"name": "s", "arms": arms, "seeds": [0, 1], "looks": None})
    write_record(folder, RunRecord(KEY, "done", cost={"run_seconds": 60.0, "peak_memory_mb": 1011.2}))
    write_record(folder, RunRecord(replace(KEY, arm="cbam"), "failed", error="a\nb\nc\nno [space] left"))
    place = folder / replace(KEY, seed=1).folder
    write_json(place / "claim-0.json", asdict(this_process()))
    told = {"work": "train", "epoch": 3, "epochs": 20, "loss": 1.25, "images_per_second": 81.0, "seconds": 75.0}
    write_json(place / "progress.json", told | {"left_seconds": 3661.0, "memory_mb": 812.4})
    return folder.parent


def ablab(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The verb, in a process that may not have imported torch at its end."""
    code = (
        "import sys; from ablab.cli import main\n"
        f"sys.argv = {['ablab', *map(str, arguments)]}\n"
        "code = 0\n"
        "try:\n    main()\nexcept SystemExit as end: code = end.code\n"
        "assert not {'torch', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, check=False)


def test_both_verbs_answer_scripts_and_end_with_0_whatever_failed(shelf: Path) -> None:
    done = ablab("status", "--json", cwd=shelf.parent)
    assert (done.returncode, done.stderr) == (0, "")
    stands = json.loads(done.stdout)
    assert {state: count for state, count in stands["counts"].items() if count} == {
        "done": 1,
        "failed": 1,
        "running": 1,
        "waiting": 1,
    }
    assert stands["running"][0]["loss"] == 1.25
    done = ablab("studies", "--json", cwd=shelf.parent)
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = json.loads(done.stdout)["studies"]
    assert (row["arms"], row["seeds"], row["finished"], row["runs"]) == (2, 2, 1, 4)


def test_a_folder_without_studies_is_the_users_mistake(tmp_path: Path) -> None:
    done = ablab("status", cwd=tmp_path)
    assert done.returncode == 2
    assert "no folder runs" in done.stderr


def test_watching_ends_with_the_last_run(shelf: Path) -> None:
    place = next(shelf.glob("s/runs/*/*/claim-0.json"))
    place.unlink()
    done = ablab("status", "s", "--watch", "0.2", cwd=shelf)
    assert done.returncode == 0
    assert done.stdout.count("1 of 4 done") == 1


def shown(*renderables: object) -> str:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115 - a sink
    for each in renderables:
        console.print(each)
    return console.export_text()


def test_the_tables_say_what_a_reader_wants(shelf: Path) -> None:
    text = shown(*standing_tables(standing(shelf / "s")))
    assert "s: 1 of 4 done, 1 running, 1 waiting, 1 failed" in text
    assert "no driver is at work" in text
    assert "at most 1,011 MB a run" in text
    row = next(line.split() for line in text.splitlines() if "3 of 20" in line)
    assert row == ["baseline", "1", "train", "3", "of", "20", "1.25", "81.0", "812", "0:01:15", "1:01:01"]
    assert "cbam, seed 0, failed: b\nc\nno [space] left" in text
    assert "a\n" not in text.partition("failed: ")[2].partition("b\n")[0]
    assert "2 x 2" in shown(studies_table(listing(shelf)))


def test_studies_of_one_name_are_told_apart_by_their_folders(shelf: Path) -> None:
    (row,) = listing(shelf)
    text = shown(studies_table([row, {**row, "folder": str(shelf / "again")}]))
    assert "s (in again)" in text
    assert "(in s)" not in text
