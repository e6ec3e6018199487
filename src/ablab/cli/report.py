"""`ablab report FOLDER`: draw what a study's folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Json, answering


def report(
    folder: Annotated[Path, typer.Argument(help="A study's folder, such as runs/demo.")],
    format: Annotated[
        str, typer.Option("--format", help="Which files to write, with commas: html,md,latex,csv,json. All by default.")
    ] = "",
    json: Json = False,
) -> None:
    """Print the verdicts and write the report. Nothing is trained or scored."""
    with answering(json) as answer:
        from ablab import reports

        wanted = [name.strip() for name in format.split(",") if name.strip()] or list(reports.FORMATS)
        written = reports.write(folder, wanted)
        view = reports.read(folder)
        answer(
            reports.as_document(view), [reports.Summary(view), *(f"{name}: {path}" for name, path in written.items())]
        )
