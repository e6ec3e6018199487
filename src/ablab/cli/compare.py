"""`ablab compare`: anybody's results, from a CSV, a tracker or COCO detections. Nothing is trained; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ablab.cli.answer import Answer, Json, answering
from ablab.errors import ConfigError, DataError, UnknownName

if TYPE_CHECKING:
    from ablab.results.judgement import Judgement
    from ablab.results.labels import Source
    from ablab.results.runs import Columns
    from ablab.results.steps import Take

Results = Annotated[
    list[str],
    typer.Argument(
        help="Files or folders: a CSV, sqlite:///optuna.db, mlruns, or COCO detections named by arm and seed; "
        "ARM=FILE and ARM/SEED=FILE say what a file holds."
    ),
]
Smallest = Annotated[float, typer.Option("--smallest-interesting", help="The smallest effect worth having.")]
Baseline = Annotated[str | None, typer.Option("--baseline", help="The arm to compare with; else 'baseline'.")]
Metric = Annotated[str | None, typer.Option("--metric", help="The column of the score; of detections, COCO's figure.")]
Arm = Annotated[str | None, typer.Option("--arm", help="The column that tells the arm.")]
Seed = Annotated[str | None, typer.Option("--seed", help="The column that tells the seed.")]
Study = Annotated[str | None, typer.Option("--study", help="Which study of an Optuna storage.")]
TakeOf = Annotated[str, typer.Option("--take", help="Which of a run's steps counts: last, max or min.")]
Truth = Annotated[Path | None, typer.Option("--truth", help="COCO ground truth; the results are then detections.")]
Group = Annotated[
    str | None,
    typer.Option(
        "--group", help="Images that belong together: a regular expression on file names, or a CSV image,group."
    ),
]
Replicates = Annotated[int, typer.Option("--replicates", min=0, help="Draws of image weights; 0: no such intervals.")]
Direction = Annotated[str, typer.Option("--direction", help="Which scores are good: max or min.")]
Alpha = Annotated[float, typer.Option("--alpha", help="How often useless changes may be taken for an effect.")]
Controls = Annotated[list[str] | None, typer.Option("--control", help="An arm in which nothing changes.")]
Unpaired = Annotated[bool, typer.Option("--unpaired", help="The arms have no seeds in common: Welch's t.")]
Report = Annotated[Path | None, typer.Option("--report", help="Write the report; its ending says how: .html, .md, ...")]


def compare(
    results: Results,
    smallest_interesting: Smallest,
    baseline: Baseline = None,
    metric: Metric = None,
    arm: Arm = None,
    seed: Seed = None,
    study: Study = None,
    take: TakeOf = "last",
    truth: Truth = None,
    group: Group = None,
    replicates: Replicates = 1000,
    direction: Direction = "max",
    alpha: Alpha = 0.05,
    control: Controls = None,
    unpaired: Unpaired = False,
    report: Report = None,
    json: Json = False,
) -> None:
    """Compare results that were made elsewhere: the same verdicts, intervals and report as for a study."""
    with answering(json) as answer:
        from ablab.results.labels import sources
        from ablab.results.runs import Columns
        from ablab.results.view import check_ending

        rules = {
            "baseline": baseline,
            "smallest_interesting": smallest_interesting,
            "direction": direction,
            "alpha": alpha,
            "controls": control or (),
            "paired": not unpaired,
        }
        if report is not None:
            check_ending(report)  # before the work
        files = sources(results)
        if truth is not None:
            _detections(files, truth, metric or "AP", replicates, group, rules, report, answer)
            return
        if take not in ("last", "max", "min"):
            raise UnknownName("choice", take, ("last", "max", "min"), "--take")
        _scores(files, Columns(arm, seed, metric, cast("Take", take), study), group, rules, report, answer)


def _scores(
    files: Sequence[Source],
    columns: Columns,
    group: str | None,
    rules: dict[str, Any],
    report: Path | None,
    answer: Answer,
) -> None:
    from ablab.results.judgement import judged
    from ablab.results.reading import read_files

    if group is not None:
        raise ConfigError("--group says which images belong together; scores have none, only detections with --truth")
    _show(judged(read_files(files, columns, paired=rules["paired"]), **rules), report, answer)


def _detections(
    files: Sequence[Source],
    truth: Path,
    metric: str,
    replicates: int,
    group: str | None,
    rules: dict[str, Any],
    report: Path | None,
    answer: Answer,
) -> None:
    from ablab.results.detections import OneSeed, judge_files

    def progress(line: str) -> None:
        typer.echo(line, err=True)

    found = judge_files(files, truth, metric, count=replicates, group=group, progress=progress, **rules)
    if not isinstance(found, OneSeed):
        _show(found, report, answer)
        return
    if report is not None:
        raise DataError("one seed an arm gives no verdict, so no report; without --report it says what it can")
    from rich.text import Text

    answer(found.as_dict(), Text(str(found)))


def _show(found: Judgement, report: Path | None, answer: Answer) -> None:
    from ablab.reports import Summary, as_document

    written = [f"report: {found.write(report)}"] if report is not None else []
    view = found.view()
    answer(as_document(view), [Summary(view), *written])
