"""RESULTS.md: one section a benchmark, replaced whenever that benchmark runs again."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
TITLE = "# Results\n\nEach section is written by its benchmark; run the command to write it anew.\n"


def write(section: str, text: str, path: Path = RESULTS) -> None:
    """Replace the section of that name, or append it, with where the numbers come from."""
    body = f"## {section}\n\n{provenance()}\n\n{text.strip()}\n"
    old = path.read_text(encoding="utf-8") if path.exists() else TITLE
    head, *sections = re.split(r"(?m)^(?=## )", old)
    names = [part.splitlines()[0].removeprefix("## ") for part in sections]
    if section in names:
        sections[names.index(section)] = body
    else:
        sections.append(body)
    path.write_text("\n".join(part.strip() + "\n" for part in (head, *sections)), encoding="utf-8")


def provenance() -> str:
    """Machine, date, command and commit, as one line."""
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    machine = f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    return f"`{command}` at commit {_commit()} on {date}; {machine}."


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "../src", ".", ":!RESULTS.md")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with uncommitted changes" if changed else "")


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
