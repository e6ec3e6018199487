"""`ablab studies [FOLDER]`: what a folder of studies holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Json, answering


def studies(
    folder: Annotated[Path, typer.Argument(help="The folder that holds the studies.")] = Path("runs"),
    json: Json = False,
) -> None:
    """List studies: arms x seeds, what is done, the verdict in a word, the last change, the size on disk."""
    with answering(json) as answer:
        from ablab.reports.standing import studies_table
        from ablab.study.listing import listing

        rows = listing(folder)
        answer({"studies": rows}, studies_table(rows) if rows else f"{folder} holds no studies")
