"""`ablab data check PATH`: name every defect of a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablab.cli.answer import Json, answering, display

if TYPE_CHECKING:
    from ablab.engine.events import Events


def check(path: Annotated[Path, typer.Argument(help="The data set's folder.")], json: Json = False) -> None:
    """Name unreadable and missing files, bad boxes, unknown classes, duplicates and empty splits; any: exit code 1."""
    with answering(json) as answer:
        from collections import Counter

        from ablab.reports.listings import defect_table
        from ablab.tasks.detection.formats import check as checking

        with display() as shown:
            defects = _checked(path, shown, checking.check)
        rows = [{"kind": d.kind, "where": d.where, "detail": d.detail} for d in defects]
        answer(
            {"path": path, "defects": rows, "counts": dict(Counter(d.kind for d in defects))},
            [defect_table(rows)] if rows else f"{path}: no defect found",
        )
        if rows:
            raise typer.Exit(1)


def _checked(path: Path, events: Events, check: Callable[..., list[Any]]) -> list[Any]:
    """Check with a progress bar, whose length is known once the files are counted."""
    begun = False

    def progress(done: int, total: int) -> None:
        nonlocal begun
        if not begun:
            events.begin(f"check {path.name}", total)
            begun = True
        events.advance(done, {})

    try:
        return check(path, progress=progress)
    finally:
        if begun:
            events.end()
