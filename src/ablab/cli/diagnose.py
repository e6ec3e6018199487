"""`ablab diagnose RUN`: what is wrong with a run, and what to try next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Data, Folder, Json, Plugins, answering, display


def diagnose(
    run: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    split: Annotated[str, typer.Option("--split", help="Whose errors to read: validation or test.")] = "validation",
    data: Data = None,
    against: Annotated[Path | None, typer.Option("--against", help="Another run, to see how scores moved.")] = None,
    recall_at_precision: Annotated[
        float | None,
        typer.Option(
            "--recall-at-precision", min=0, max=1, help="The recall that this precision leaves, such as 0.95."
        ),
    ] = None,
    max_false_positives_per_image: Annotated[
        float | None,
        typer.Option("--max-false-positives-per-image", min=0, help="The recall at so many, such as 0.1."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out what takes long: range test, copies, pictures, prices.")
    ] = False,
    study: Annotated[Path | None, typer.Option("--study", help="Write the proposals as a study (YAML).")] = None,
    folder: Folder = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Look at a run's errors, data, network and training, and propose what to try next.

    Writes a page, its pictures and its numbers into RUN/diagnosis.
    """
    with answering(json) as answer:
        from ablab import registry
        from ablab.diagnose.examine import Asked, examine
        from ablab.reports import diagnosis as page

        registry.load_plugins([*(plugin or [])])
        goals = {"recall at precision": recall_at_precision, "false positives per image": max_false_positives_per_image}
        asked = Asked(
            split,
            str(data) if data else None,
            against,
            {name: value for name, value in goals.items() if value is not None},
            quick,
            not quick,
            folder,
            study,
        )
        with display() as shown:
            document, place = examine(run, asked, shown)
        written = page.write(document, place)
        said = [f"page: {written}", *([f"study: {study}; try it with: ablab plan {study}"] if study else [])]
        answer(document | {"page": str(written)}, [*page.as_tables(document), *said])
