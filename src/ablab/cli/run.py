"""`ablab run STUDY`: train what is missing, judge, report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablab.cli.answer import Answer, Data, Folder, Json, Plugins, Sets, Trackers, answering, display, settings
from ablab.cli.plan import Only, StudyFile, asked_for
from ablab.errors import ConfigError

if TYPE_CHECKING:
    from ablab.study.executors.job import Executor


class Who(StrEnum):
    """Who does the runs."""

    LOCAL = "local"
    RAY = "ray"


Jobs = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Runs at a time. [default: cores / threads a run, or GPUs]")
]
By = Annotated[Who, typer.Option("--executor", help="Who does the runs: processes of this machine, or a Ray cluster.")]
Address = Annotated[
    str | None,
    typer.Option("--address", help="With ray: the cluster, HOST:PORT or auto. [default: one of this machine alone]"),
]
Share = Annotated[
    float | None,
    typer.Option("--gpus-per-run", min=0.01, max=1, help="With ray: what a run takes of a GPU. [default: 1]"),
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
    executor: By = Who.LOCAL,
    address: Address = None,
    gpus_per_run: Share = None,
    json: Json = False,
) -> None:
    """Train every arm under every seed, judge and report. A second call does only what is missing."""
    with answering(json) as answer:
        asked = asked_for(study, only, settings(set, data, "baseline."))
        place, parts = folder or Path("runs") / asked.name, [*(plugin or [])]
        if seeds is not None and not confirm:
            raise ConfigError("--seeds goes with --confirm; a study's own seeds stand in its file, or --set seeds=5")
        with executing(executor, address, gpus_per_run) as by:
            if confirm:
                confirm_winner(asked, place, seeds, jobs, parts, answer, by, trackers=tracker or ())
            else:
                drive(asked, place, jobs, parts, answer, by, trackers=tracker or ())


@contextmanager
def executing(who: Who, address: str | None, gpus_per_run: float | None) -> Iterator[Executor]:
    """Who does the runs, for as long as they last. Raises ConfigError for options of another, and where Ray is not."""
    if who is Who.RAY:
        from ablab.study.executors.ray import cluster

        with cluster(address, gpus_per_run) as made:
            yield made
        return
    if address is not None or gpus_per_run is not None:
        raise ConfigError("--address and --gpus-per-run go with --executor ray")
    from ablab.study.executors.local import Local

    yield Local()


def drive(
    asked: object,
    folder: Path,
    jobs: int | None,
    plugins: list[Path],
    answer: Answer,
    executor: Executor | None = None,
    trackers: Sequence[str] = (),
) -> None:
    """Run a study, write its report and answer with the verdict table."""
    from ablab import reports
    from ablab.study import run as running
    from ablab.study.spec import Study
    from ablab.study.trackers.mirror import mirroring

    assert isinstance(asked, Study)
    with display() as shown, mirroring(folder, trackers, asked.name, shown.row("")):
        outcome = running.run(
            asked, folder, jobs=jobs, plugins=plugins, display=shown, executor=executor or running.LOCAL
        )
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
    executor: Executor,
    trackers: Sequence[str] = (),
) -> None:
    """Train what a finished study chose under fresh seeds, and answer with what is left of its effect."""
    from ablab import reports
    from ablab.study import confirm
    from ablab.study.spec import Study
    from ablab.study.trackers.mirror import mirroring

    assert isinstance(asked, Study)
    with display() as shown, mirroring(folder / confirm.PLACE, trackers, asked.name, shown.row("")):
        outcome = confirm.confirm(
            asked, folder, seeds=seeds, jobs=jobs, plugins=plugins, display=shown, executor=executor
        )
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
