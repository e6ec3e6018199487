"""`ablab run STUDY`: train what is missing, judge, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Answer, Data, Folder, Json, Plugins, Sets, answering, display, settings
from ablab.cli.plan import Only, StudyFile, asked_for

Jobs = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Runs at a time. [default: cores / threads a run, or GPUs]")
]


def run(
    study: StudyFile,
    data: Data = None,
    only: Only = None,
    folder: Folder = None,
    jobs: Jobs = None,
    set: Sets = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Train every arm under every seed, judge and report. A second call does only what is missing."""
    with answering(json) as answer:
        asked = asked_for(study, only, settings(set, data, "baseline."))
        drive(asked, folder or Path("runs") / asked.name, jobs, [*(plugin or [])], answer)


def drive(asked: object, folder: Path, jobs: int | None, plugins: list[Path], answer: Answer) -> None:
    """Run a study, write its report and answer with the verdict table."""
    from ablab import reports
    from ablab.study import run as running
    from ablab.study.spec import Study

    assert isinstance(asked, Study)
    with display() as shown:
        outcome = running.run(asked, folder, jobs=jobs, plugins=plugins, display=shown)
    written = reports.write(folder)
    view = reports.read(folder)
    answer({**outcome, "folder": folder, "report": written}, [reports.Summary(view), f"report: {written['html']}"])
    if outcome["missing"]:
        typer.secho(
            f"{outcome['missing']} of {outcome['runs']} runs are still to do; the same command goes on", err=True
        )
    if outcome["failed"]:
        typer.secho(
            f"{outcome['failed']} of {outcome['runs']} runs failed; the same command tries them again", err=True
        )
        raise typer.Exit(1)
