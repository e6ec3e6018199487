"""How studies stand, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

FAILURES = 8  # shown; --json has all
COLOURS = {
    "failed": "red",
    "diverged": "red",
    "damaged": "red",
    "unread": "red",
    "running": "green",
    "interrupted": "yellow",
}


def standing_tables(stands: Mapping[str, Any]) -> list[Table | Text]:
    """What `ablab status` prints: counts, the running runs, rate and time left, failures with their last lines."""
    counts = stands["counts"]
    total = "" if stands["runs"] is None else f" of {'at most ' * stands['at_most']}{stands['runs']}"
    line = Text.assemble((stands["name"], "bold"), f": {counts['done']}{total} done")
    for state in ("running", "waiting", "failed", "diverged", "interrupted", "damaged", "unread"):
        if counts[state]:
            line.append(f", {counts[state]} {state}", COLOURS.get(state, ""))
    shown: list[Table | Text] = [line, Text(_pace(stands), style="dim")]
    if stands["running"]:
        shown.append(_running(stands["running"]))
    for run in stands["failures"][-FAILURES:]:
        head = f"{run['arm']}, seed {run['seed']}, {run['state']}: "
        shown.append(Text.assemble((head, COLOURS.get(run["state"], "")), _last_lines(run["error"])))
    if len(stands["failures"]) > FAILURES:
        shown.append(Text(f"{len(stands['failures']) - FAILURES} earlier ones: --json lists them", style="dim"))
    return [*shown, *(Text(f"set aside: {path}", style="yellow") for path in stands["set_aside"])]


def _pace(stands: Mapping[str, Any]) -> str:
    """Who drives, how fast, and how long it will take."""
    driver, left = stands["driver"], stands["left_seconds"]
    said = [f"driven by {driver['process']} since {_when(driver['since'])}" if driver else "no driver is at work"]
    if stands["per_hour"] is not None:
        said.append(f"{stands['per_hour']:.3g} runs an hour")
    if left:
        said.append(f"about {_clock(left)} left" if driver else f"about {_clock(left)} to go")
    if stands.get("peak_memory_mb"):
        said.append(f"at most {stands['peak_memory_mb']:,.0f} MB a run")
    return "; ".join(said)


def _running(runs: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("running", "seed", "work", "epoch", "loss", "images/s", "MB", "for", "left")
    for run in runs:
        epoch, loss, speed = (run.get(name) for name in ("epoch", "loss", "images_per_second"))
        table.add_row(
            Text(run["arm"]),
            str(run["seed"]),
            run.get("work") or "begins",
            "-" if epoch is None else f"{epoch:.0f} of {run['epochs']}",
            "-" if loss is None else f"{loss:.4g}",
            "-" if speed is None else f"{speed:.1f}",
            "-" if run.get("memory_mb") is None else f"{run['memory_mb']:,.0f}",
            "-" if run.get("seconds") is None else _clock(run["seconds"]),
            "-" if run.get("left_seconds") is None else _clock(run["left_seconds"]),
        )
    return table


def studies_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What `ablab studies` prints, one row a study."""
    table = _table("study", "arms x seeds", "done", "failed", "verdict", "last change", "MB")
    for row in rows:
        grid = "-" if row["arms"] is None else f"{row['arms']} x {row['seeds']}"
        state = f"{row['finished']}" + ("" if row["runs"] is None else f" of {row['runs']}")
        place = Path(row["folder"]).resolve().name
        named = row["name"] if place == row["name"] else f"{row['name']} (in {place})"  # several may share a name
        name = Text(named, COLOURS["running"] if row["running"] else "")
        size = f"{row['bytes'] / 1e6:,.1f}"
        table.add_row(name, grid, state, str(row["failed"] or "-"), row["verdict"] or "-", _when(row["changed"]), size)
    return table


def _last_lines(error: str, most: int = 3) -> str:
    """The end of an error: its last line says what happened."""
    return "\n".join(error.strip().splitlines()[-most:])


def _when(iso: str) -> str:
    """A moment in the reader's own time, to the minute."""
    return datetime.fromisoformat(iso).replace(tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def _clock(seconds: float) -> str:
    """`75.3` as `0:01:15`."""
    return str(timedelta(seconds=round(seconds)))


def _table(first: str, *others: str) -> Table:
    """Where the terminal is narrow, words of the first column and of verdicts are folded, and no number is."""
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True)
    table.add_column(first, overflow="fold")
    for name in others:
        left, long = name in {"work", "verdict"}, name == "verdict"
        table.add_column(name, justify="left" if left else "right", overflow="fold", no_wrap=not long)
    return table
