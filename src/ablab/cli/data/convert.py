"""`ablab data convert SOURCE FOLDER --to LAYOUT`: a data set in another layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Json, answering
from ablab.cli.data.progress import stages
from ablab.errors import RunError


def convert(
    source: Annotated[str, typer.Argument(help="The data set's folder or file, or photo-digits.")],
    folder: Annotated[Path, typer.Argument(help="Where it goes: a new or empty folder.")],
    to: Annotated[str, typer.Option("--to", metavar="LAYOUT", help="voc, coco, yolo or csv.")],
    link: Annotated[
        bool, typer.Option("--link/--copy", help="Images as hard links where the file system allows, or as copies.")
    ] = True,
    json: Json = False,
) -> None:
    """Write a data set in another layout. Nothing is lost that ablab reads; what it does not read is named."""
    with answering(json) as answer:
        from ablab.tasks.detection.formats.convert import convert

        try:
            with stages() as progress:
                done = convert(source, folder, to, link, progress)
        except KeyboardInterrupt:
            raise RunError(f"interrupted; nothing was left at {folder}, the same command begins anew") from None
        counts = {split: {"images": images, "boxes": boxes} for split, (images, boxes) in done.counts.items()}
        said = ", ".join(
            f"{split} {images:,} images with {boxes:,} boxes" for split, (images, boxes) in done.counts.items()
        )
        answer(
            {"source": source, "folder": folder, "layout": done.kind, "splits": counts, "notes": done.notes},
            [*done.notes, f"{folder} ({done.kind}): {said}"],
        )
