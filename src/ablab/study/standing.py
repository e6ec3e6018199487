"""How a study stands, read from its folder alone: by another process, while a driver works on it or after."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from ablab.errors import ConfigError, Damaged, StoreError
from ablab.records import RunRecord, read_json, read_record, slug
from ablab.study.claims import STALE_SECONDS, holder
from ablab.study.owner import Owner, alive, owner
from ablab.study.progress import FILE

STATES = (
    "done",
    "diverged",
    "failed",
    "running",
    "interrupted",
    "damaged",
    "unread",
)  # and "waiting", without a folder
ENDED = ("done", "diverged")


def standing(folder: Path) -> dict[str, Any]:
    """How the study (or the runs of `train`) in a folder stands.

    {"folder", "name", "driver": {process, since, alive} or None, "runs" wanted or None, "at_most" (it has looks),
    "counts": {state: runs}, "running": [...], "failures": [...], "set_aside": [...], "peak_memory_mb" a run at most,
    "per_hour" as it went under this driver, "left_seconds" as finished runs of the same arm, or else the plan, let
    expect; the last three may be None}.
    A run of several folders (its recipe was edited) counts once, as its newest. Raises ConfigError for another folder.
    """
    if not holds_runs(folder):
        raise ConfigError(f"{folder} holds no study and no runs; expected a folder with study.json or runs/")
    study, plan = optional(folder / "study.json"), optional(folder / "plan.json")
    names = {slug(arm["name"]): str(arm["name"]) for arm in study.get("arms", ())}
    runs = _newest(folder, names)
    wanted = len(study["arms"]) * len(study["seeds"]) if study else None
    counts = Counter(run["state"] for run in runs)
    counts["waiting"] = max((wanted or 0) - len(runs), 0)
    driver = _driver(folder)
    return {
        "folder": str(folder),
        "name": study.get("name", folder.name),
        "driver": driver,
        "runs": wanted,
        "at_most": bool(study.get("looks")),
        "counts": {state: counts[state] for state in (*STATES, "waiting")},
        "running": [_shown(run) for run in runs if run["state"] == "running"],
        "failures": [_shown(run) for run in runs if run["error"]],
        "set_aside": [str(path) for path in sorted(folder.glob("runs/*/*/record.json.corrupt-*"))],
        "peak_memory_mb": max((peak for run in runs if (peak := _peak(run["record"]))), default=None),
        "per_hour": _rate(runs, driver),
        "left_seconds": _left(runs, study, plan),
    }


def holds_runs(folder: Path) -> bool:
    """Whether a folder is a study's, or one of `train`."""
    return (folder / "study.json").is_file() or any(folder.glob("runs/*/*-*"))


def _newest(folder: Path, names: Mapping[str, str]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for place in sorted(folder.glob("runs/*/*-*")):
        if place.is_dir():
            run = _run(place, names.get(place.parent.name, place.parent.name))
            before = found.get((run["arm"], run["seed"]))
            if before is None or before["changed"] <= run["changed"]:
                found[run["arm"], run["seed"]] = run
    return list(found.values())


def _run(place: Path, arm: str) -> dict[str, Any]:
    """One run's folder: its state, and what belongs to it."""
    path, claim = place / "record.json", holder(place)
    run: dict[str, Any] = {"arm": arm, "seed": int(place.name.partition("-")[0]), "folder": str(place), "error": ""}
    run |= {"changed": _changed(place), "record": None, "progress": {}, "owner": claim and claim[1]}
    try:
        record = _record(path, path.stat().st_mtime_ns)
        told = {"state": record.status, "record": record, "error": record.error, "arm": record.key.arm}
    except FileNotFoundError:
        told = {"state": "interrupted"}
    except StoreError as error:  # one of a newer version is sound
        told = {"state": "damaged" if isinstance(error, Damaged) else "unread", "error": str(error)}
    if told["state"] not in ENDED and claim and _works(place, *claim):
        return run | {"state": "running", "progress": optional(place / FILE)}
    return run | told


def _works(place: Path, number: int, who: Owner | None) -> bool:
    """Whether a claim's holder is at work: where it cannot be asked, whether it touched the claim of late."""
    said = alive(who) if who else None
    if said is not None:
        return said
    with suppress(OSError):
        return time.time() - (place / f"claim-{number}.json").stat().st_mtime < 2 * STALE_SECONDS
    return False


@cache
def _record(path: Path, _written: int) -> RunRecord:
    """A record, read once as long as nobody writes it anew: a watcher asks again and again."""
    return read_record(path)


def _changed(place: Path) -> float:
    """When a run got its record; without one, when anything in its folder was written or renamed last."""
    for path in (place / "record.json", place):
        with suppress(OSError):
            return path.stat().st_mtime
    return 0.0


def _shown(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run for a reader: who does it, how far it is, what went wrong."""
    who: Owner | None = run["owner"]
    short = {name: run[name] for name in ("arm", "seed", "state", "error", "folder")}
    if run["state"] != "running":
        return short
    return short | {"process": str(who or "unknown"), "since": who.since if who else "", **run["progress"]}


def _driver(folder: Path) -> dict[str, Any] | None:
    """Who drives the study; None where nobody does, or whoever did is gone."""
    who = owner(optional(folder / "driver.json"))
    if who is None or alive(who) is False:
        return None
    return {"process": str(who), "since": who.since, "alive": alive(who)}


def _rate(runs: Sequence[Mapping[str, Any]], driver: Mapping[str, Any] | None) -> float | None:
    """Runs that ended under this driver, an hour; None without a driver, and before the first has ended."""
    if driver is None:
        return None
    since = datetime.fromisoformat(driver["since"]).timestamp()
    ended = sum(run["record"] is not None and run["changed"] >= since for run in runs)
    return 3600 * ended / max(time.time() - since, 1.0) if ended else None


def _left(runs: Sequence[Mapping[str, Any]], study: Mapping[str, Any], plan: Mapping[str, Any]) -> float | None:
    """Seconds until the last run ends, at the plan's number of runs at a time; None where that cannot be told."""
    expected = {arm["arm"]: float(arm["run_seconds"]) for arm in plan.get("arms", ()) if "run_seconds" in arm}
    for arm in {run["arm"] for run in runs}:
        times = [s for run in runs if run["arm"] == arm and (s := _seconds(run["record"]))]
        expected |= {arm: median(times)} if times else {}
    there = {(run["arm"], run["seed"]) for run in runs}
    missing = [
        (arm["name"], None)
        for arm in study.get("arms", ())
        for seed in study["seeds"]
        if (arm["name"], seed) not in there
    ]
    undone = [(run["arm"], run) for run in runs if run["state"] not in ENDED]
    try:
        each = [_run_left(run, expected[arm]) for arm, run in (*missing, *undone)]
    except KeyError:
        return None
    return max([sum(each) / max(plan.get("jobs", 1), 1), *each], default=0.0)


def _seconds(record: RunRecord | None) -> float:
    return record.cost.get("run_seconds", 0.0) if record and record.status == "done" else 0.0


def _peak(record: RunRecord | None) -> float:
    return record.cost.get("peak_memory_mb", 0.0) if record else 0.0


def _run_left(run: Mapping[str, Any] | None, expected: float) -> float:
    """What is left of a run; by its own reckoning, where it trains."""
    progress = run["progress"] if run else {}
    left = progress.get("left_seconds")
    if left is not None and progress.get("work") == "train":
        return float(left)
    return max(expected - progress.get("seconds", 0.0), 0.0)


def optional(path: Path) -> dict[str, Any]:
    """A JSON file that may not be there, or not in one piece on a machine that lost its power."""
    with suppress(StoreError):
        found = read_json(path)
        return found if isinstance(found, dict) else {}
    return {}


def studies(shelf: Path) -> Iterator[Path]:
    """The folder itself where it holds runs, else every one in it that does. Raises ConfigError for no folder."""
    if not shelf.is_dir():
        raise ConfigError(f"no folder {shelf}; expected one that holds studies, or a study's own")
    yield from [shelf] if holds_runs(shelf) else sorted(path for path in shelf.iterdir() if holds_runs(path))


def latest(shelf: Path) -> Path:
    """The study that is driven now, or else was changed last. Raises ConfigError where there is none."""
    found = list(studies(shelf))
    if not found:
        raise ConfigError(f"{shelf} holds no study; expected a folder with study.json or runs/")
    return max(found, key=lambda folder: (_driver(folder) is not None, folder.stat().st_mtime))
