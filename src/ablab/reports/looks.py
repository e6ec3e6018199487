"""Every look of a sequential study, and what fresh seeds said of its winner, as tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablab.reports import method, numerals
from ablab.reports.grids import Grid
from ablab.reports.view import View, day


def looks(view: View) -> dict[str, Any] | None:
    """A row an arm and look, in the order in which they were judged; None without looks."""
    if not view.looks:
        return None
    rows = [(f"{row['look']} of {row['of']}: {row['seeds']} seeds", _look(row)) for row in view.looks]
    head = ["look", "arm", "pairs", "effect", "interval", "|t|", "decides", "outcome", "judged"]
    return {"table": Grid(head, rows), "said": method.looks(view)}


def _look(row: Mapping[str, Any]) -> list[str]:
    t = None if row["t"] is None else abs(row["t"])
    ahead = row.get("conditional_power")
    outcome = row["outcome"] + (
        f" (chance to be decided later: {numerals.percent(ahead)})" if ahead is not None else ""
    )
    return [
        row["arm"],
        str(row["n"]),
        numerals.signed(row["effect"]),
        numerals.interval((row["low"], row["high"])),
        *(numerals.NOTHING if value is None else f"{value:.2f}" for value in (t, row["boundary"])),
        outcome,
        day(row.get("time", "")),
    ]


def confirmed(view: View) -> dict[str, Any] | None:
    """What the study said, what fresh seeds say, and what was lost between; None where nothing was confirmed."""
    document = view.confirm
    if not document:
        return None
    rows = [(f"{row['arm']} ({row['role']})", _confirmed(row)) for row in document["arms"]]
    head = ["arm", "against", "in the study", "on fresh seeds", "simultaneous interval", "shrank by", "verdict there"]
    return {"table": Grid(head, rows) if rows else None, "said": _said(view, document), "notes": document["notes"]}


def _confirmed(row: Mapping[str, Any]) -> list[str]:
    kept = f" (kept {100 * row['kept']:.0f}%)".replace("-", "−") if row["kept"] is not None else ""
    return [
        row["against"],
        numerals.signed(row["study_effect"]),
        numerals.signed(row["effect"]),
        numerals.interval(row["simultaneous"]),
        f"{numerals.signed(row['shrinkage'])}{kept}",
        row["verdict"],
    ]


def _said(view: View, document: Mapping[str, Any]) -> str:
    seeds, bias = document["seeds"], document["bias"]
    fresh = f"{len(seeds)} fresh seeds ({numerals.listing([str(seed) for seed in seeds])})"
    points = ""
    if bias["points"] is not None:
        points = f", up to {numerals.fine(bias['points'])} {view.metric} here, less where seeds share their luck"
    curse = (
        f"The best of {bias['arms']} useless changes over {bias['seeds']} seeds is expected to look "
        f"{bias['in_sd']:.2f} standard deviations of one arm better than it is{points}."
    )
    if not document["arms"]:
        return f"{curse} A confirmation under {fresh} was begun; until all its runs have ended nobody looks at it."
    return f"{curse} Under {fresh}, which chose nothing, there is no such bias: this is the effect to quote."
