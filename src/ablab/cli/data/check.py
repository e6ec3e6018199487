"""`ablab data check PATH`: name every defect of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablab.cli.answer import Json, answering, display
from ablab.errors import RunError

if TYPE_CHECKING:
    from ablab.engine.events import Events

SHOWN = 5  # defects of a kind in the table


def check(
    path: Annotated[Path, typer.Argument(help="The data set's folder or file.")],
    every: Annotated[bool, typer.Option("--all", help=f"Show every defect, not the first {SHOWN} of a kind.")] = False,
    json: Json = False,
) -> None:
    """Name every defect: files, boxes, classes, splits, copies of images. Exit code 1 for any error or warning.

    An error changes what is trained on or what a score means, a warning wants to be looked at, a note is worth knowing.
    """
    with answering(json) as answer:
        from collections import Counter

        from ablab.reports.listings import defect_summary, defect_table

        with display() as shown:
            layout, defects = _checked(path, shown)
        rows = [{"kind": d.kind, "severity": d.severity, "where": d.where, "detail": d.detail} for d in defects]
        counts = dict(Counter(d.kind for d in defects))
        tables = [defect_summary(rows), *defect_table(rows, None if every else SHOWN)] if rows else []
        answer(
            {"path": path, "layout": layout.kind, "defects": rows, "counts": counts},
            [*tables, _summary(path, layout, Counter(d.severity for d in defects))],
        )
        if any(row["severity"] != "note" for row in rows):
            raise typer.Exit(1)


def _checked(path: Path, events: Events) -> tuple[Any, list[Any]]:
    """The layout and its defects."""
    from ablab.engine.events import working
    from ablab.tasks.detection.formats.check import check
    from ablab.tasks.detection.formats.layouts.recognise import read_layout

    try:
        with working(events, f"read {path.name}", 1):
            layout = read_layout(path)
        begun = _Bar(events, f"check {path.name}")
        try:
            return layout, check(layout, begun)
        finally:
            begun.end()
    except KeyboardInterrupt:
        raise RunError("interrupted; a check keeps nothing, the same command begins anew") from None


def _summary(path: Path, layout: Any, severities: Any) -> str:
    images = len({image.path for split in layout.splits.values() for image in split})
    found = ", ".join(f"{severities[each]:,} {each}{'' if severities[each] == 1 else 's'}" for each in severities)
    classes = len(layout.classes)
    return (
        f"{path} ({layout.kind}): {images:,} image{'' if images == 1 else 's'} that can be used, "
        f"{classes} class{'' if classes == 1 else 'es'}; {found or 'no defect found'}"
    )


class _Bar:
    """Progress as events, which begin once the number of images is known."""

    def __init__(self, events: Events, name: str) -> None:
        self._events, self._name, self._begun = events, name, False

    def __call__(self, done: int, total: int) -> None:
        if not self._begun:
            self._events.begin(self._name, total)
            self._begun = True
        self._events.advance(done, {})

    def end(self) -> None:
        """Take the bar away, if there is one."""
        if self._begun:
            self._events.end()
