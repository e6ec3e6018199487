"""`ablab status [FOLDER]`: how a study stands, from another terminal while it runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Json, answering


def status(
    folder: Annotated[
        Path, typer.Argument(help="A study's folder, or one of studies: then the one that runs, or changed last.")
    ] = Path("runs"),
    watch: Annotated[
        float | None, typer.Option("--watch", min=0.2, metavar="SECONDS", help="Again every so many seconds.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the runs that are done, running, waiting and failed, and the time left. --watch ends with the last run."""
    with answering(json) as answer:
        from rich.console import Console

        from ablab.reports.standing import standing_tables
        from ablab.study.standing import latest, standing

        while True:
            stands = standing(latest(folder))
            if watch and not json:
                Console().clear()
            answer(stands, standing_tables(stands))
            if not watch or not (stands["driver"] or stands["running"]):
                return
            time.sleep(watch)
