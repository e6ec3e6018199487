"""Runs as processes: their ends, their errors, and what happens when somebody dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import work
from processes import gone, started

from ablab.engine.events import Silent
from ablab.study.executors import local
from ablab.study.executors.local import Job, execute


def always() -> bool:
    return True


def test_each_job_has_a_process_and_its_own_end(tmp_path: Path) -> None:
    jobs = [
        Job("one", work.write, (tmp_path / "1", "one")),
        Job("mistake", work.mistake, ()),
        Job("bug", work.bug, ()),
        Job("killed", work.killed, ()),
        Job("two", work.write, (tmp_path / "2", "two")),
    ]
    ends = {job.name: error for job, error in execute(jobs, 2, Silent(), always)}
    assert ends == {
        "one": "",
        "mistake": "no such image",
        "bug": "ZeroDivisionError: one by zero",
        "killed": f"killed, perhaps out of memory: {local.REMEDY}",
        "two": "",
    }
    words = [(tmp_path / name).read_text().split() for name in ("1", "2")]
    assert [word for word, _ in words] == ["one", "two"]
    assert len({os.getpid(), *(int(pid) for _, pid in words)}) == 3


def test_nothing_starts_when_it_may_not(tmp_path: Path) -> None:
    asked: list[int] = []

    def once() -> bool:
        asked.append(1)
        return len(asked) == 1

    jobs = [Job(str(i), work.write, (tmp_path / str(i), "x")) for i in range(3)]
    assert [job.name for job, _ in execute(jobs, 1, Silent(), once)] == ["0"]
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


def test_leaving_early_ends_what_is_under_way(tmp_path: Path) -> None:
    jobs = [Job("slow", work.slow, (tmp_path / "slow",)), Job("one", work.write, (tmp_path / "1", "one"))]
    running = execute(jobs, 2, Silent(), always)
    assert next(running)[0].name == "one"
    pid = started(tmp_path / "slow")
    running.close()
    assert gone(pid)


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import work; from pathlib import Path\n"
        "from ablab.engine.events import Silent\n"
        "from ablab.study.executors.local import Job, execute\n"
        "if __name__ == '__main__':\n"
        "    list(execute([Job('s', work.slow, (Path(sys.argv[2]),))], 1, Silent(), lambda: True))\n"
    )
    file = tmp_path / "driver.py"
    file.write_text(script)
    parent = subprocess.Popen([sys.executable, file, Path(work.__file__).parent, tmp_path / "slow"])
    pid = started(tmp_path / "slow")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(pid)
