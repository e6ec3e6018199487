"""`ablab report FOLDER`: draw what a study's folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Json, answering


def report(
    folder: Annotated[Path, typer.Argument(help="A study's folder, such as runs/demo.")], json: Json = False
) -> None:
    """Print the verdicts and write the report: HTML, Markdown, CSV and JSON. Nothing is trained or scored."""
    with answering(json) as answer:
        from ablab import reports

        written = reports.write(folder)
        view = reports.read(folder)
        answer(reports.as_document(view), [reports.Summary(view), f"report: {written['html']}"])
