"""`ablab data get NAME`: download a public data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Json, answering
from ablab.cli.data.progress import stages
from ablab.errors import UnknownName


def get(
    name: Annotated[str, typer.Argument(help="voc2007, voc2012, coco2017 or coco128.")],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where data sets are kept.")] = Path("data"),
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="PART", help="One part: val or train of COCO, trainval or test of VOC."),
    ] = None,
    json: Json = False,
) -> None:
    """Download a data set, check it, and unpack it; a call that was broken off goes on from there."""
    with answering(json) as answer:
        from ablab.tasks.detection.formats.download import catalogue, get

        sources = catalogue()
        if name not in sources:
            raise UnknownName("data set", name, sources)
        with stages() as progress:
            got = get(sources[name], to, only, progress, progress.events.say)
        source = sources[name]
        state = "loaded" if got.loaded else "already there"
        answer(
            {"name": name, "root": got.root, "loaded": got.loaded, "terms": source.terms, "note": source.note},
            [*([source.note] if source.note else []), f"{got.root}: {state}"],
        )
