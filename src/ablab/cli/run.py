"""`ablab run STUDY`: train what is missing, judge, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ablab.cli.answer import Answer, Data, Folder, Json, Plugins, Sets, Trackers, answering, display, settings
from ablab.cli.plan import Only, StudyFile, asked_for
from ablab.errors import ConfigError

Jobs = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Runs at a time. [default: cores / threads a run, or GPUs]")
]

Confirm = Annotated[
    bool, typer.Option("--confirm", help="Train the finished study's winner and baseline again, under fresh seeds.")
]
Seeds = Annotated[
    int | None, typer.Option("--seeds", min=2, help="With --confirm: how many fresh seeds. [default: the study's]")
]


def run(
    study: StudyFile,
    data: Data = None,
    only: Only = None,
    folder: Folder = None,
    jobs: Jobs = None,
    set: Sets = None,
    plugin: Plugins = None,
    confirm: Confirm = False,
    seeds: Seeds = None,
    tracker: Trackers = None,
    json: Json = False,
) -> None:
    """Train every arm under every seed, judge and report. A second call does only what is missing."""
    with answering(json) as answer:
        asked = asked_for(study, only, settings(set, data, "baseline."))
        place, parts = folder or Path("runs") / asked.name, [*(plugin or [])]
        if confirm:
            confirm_winner(asked, place, seeds, jobs, parts, answer, trackers=tracker or ())
        elif seeds is not None:
            raise ConfigError("--seeds goes with --confirm; a study's own seeds stand in its file, or --set seeds=5")
        else:
            drive(asked, place, jobs, parts, answer, trackers=tracker or ())


def drive(
    asked: object,
    folder: Path,
    jobs: int | None,
    plugins: list[Path],
    answer: Answer,
    trackers: Sequence[str] = (),
) -> None:
    """Run a study, write its report and answer with the verdict table."""
    from ablab import reports
    from ablab.study import run as running
    from ablab.study.spec import Study
    from ablab.study.trackers.mirror import mirroring

    assert isinstance(asked, Study)
    with display() as shown, mirroring(folder, trackers, asked.name, shown.row("")):
        outcome = running.run(asked, folder, jobs=jobs, plugins=plugins, display=shown)
    written = reports.write(folder)
    view = reports.read(folder)
    answer({**outcome, "folder": folder, "report": written}, [reports.Summary(view), f"report: {written['html']}"])
    _unfinished(outcome)


def confirm_winner(
    asked: object,
    folder: Path,
    seeds: int | None,
    jobs: int | None,
    plugins: list[Path],
    answer: Answer,
    trackers: Sequence[str] = (),
) -> None:
    """Train what a finished study chose under fresh seeds, and answer with what is left of its effect."""
    from ablab import reports
    from ablab.study import confirm
    from ablab.study.spec import Study
    from ablab.study.trackers.mirror import mirroring

    assert isinstance(asked, Study)
    with display() as shown, mirroring(folder / confirm.PLACE, trackers, asked.name, shown.row("")):
        outcome = confirm.confirm(asked, folder, seeds=seeds, jobs=jobs, plugins=plugins, display=shown)
    written = reports.write(folder)
    answer({**outcome, "folder": folder}, [confirm.lines(outcome), f"report: {written['html']}"])
    _unfinished(outcome)


def _unfinished(outcome: Mapping[str, Any]) -> None:
    """Say what is still to do; exit code 1 where runs failed."""
    runs = outcome["runs"]
    if outcome["missing"]:
        typer.secho(f"{outcome['missing']} of {runs} runs are still to do; the same command goes on", err=True)
    if outcome["failed"]:
        typer.secho(f"{outcome['failed']} of {runs} runs failed; the same command tries them again", err=True)
        raise typer.Exit(1)
