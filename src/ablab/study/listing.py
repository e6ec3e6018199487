"""What a folder of studies holds, one row a study."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ablab.study.standing import ENDED, optional, standing, studies

SEPARATE = ("helps", "hurts", "equivalent", "undecided")  # the judge's words, the one that matters most first


def listing(shelf: Path) -> list[dict[str, Any]]:
    """[{"folder", "name", "arms", "seeds", "runs", "finished", "failed", "running", "verdict", "changed", "bytes"}].

    `arms`, `seeds` and `runs` are None for runs of `train`. `changed` is ISO 8601. Raises ConfigError for no folder.
    """
    return [_row(folder) for folder in studies(shelf)]


def _row(folder: Path) -> dict[str, Any]:
    stands = standing(folder)
    counts, asked = stands["counts"], optional(folder / "study.json")
    size, changed = _measure(folder)
    return {
        "folder": str(folder),
        "name": stands["name"],
        "arms": len(asked["arms"]) if asked else None,
        "seeds": len(asked["seeds"]) if asked else None,
        "runs": stands["runs"],
        "finished": sum(counts[state] for state in ENDED),
        "failed": counts["failed"] + counts["damaged"] + counts["unread"],
        "running": counts["running"],
        "verdict": verdict(optional(folder / "verdicts.json")),
        "changed": datetime.fromtimestamp(changed, UTC).isoformat(timespec="seconds"),
        "bytes": size,
    }


def verdict(document: Mapping[str, Any]) -> str:
    """Verdicts in a word: the most telling one, and of how many arms: "helps: cbam", "undecided: 3 arms".

    A control (a/a, a placebo) is no answer, so it does not count. "" without verdicts.
    """
    said: dict[str, list[str]] = {}
    for row in document.get("arms", ()):
        if not row["arm"].startswith(("a/a", "placebo/")):
            said.setdefault(row["verdict"], []).append(row["arm"])
    word = next((word for word in SEPARATE if word in said), "")
    arms = said.get(word, [])
    return f"{word}: {arms[0] if len(arms) == 1 else f'{len(arms)} arms'}" if arms else ""


def _measure(folder: Path) -> tuple[int, float]:
    """(bytes of all files, when one of them was written last)."""
    size, changed = 0, folder.stat().st_mtime
    for parent, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):  # a run under way removes its own
                found = os.stat(os.path.join(parent, name), follow_symlinks=False)
                size, changed = size + found.st_size, max(changed, found.st_mtime)
    return size, changed
