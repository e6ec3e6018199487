"""`ablab predict RUN IMAGE|FOLDER`: detections as pictures and JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Folder, Json, answering, display


def predict(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    source: Annotated[Path, typer.Argument(help="An image, or a folder of images.")],
    folder: Folder = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", min=0, max=1, help="Least score. [default: the one chosen on validation]"),
    ] = None,
    json: Json = False,
) -> None:
    """Detect objects; writes one picture an image and detections.json."""
    with answering(json) as answer:
        from ablab.study import single

        out = folder or Path("predictions")
        with display() as shown:
            document = single.predict(run, source, out, threshold, shown)
        lines = [f"{row['image']}: {_counted(row['detections'])}" for row in document["images"]]
        answer(document, [*lines, f"pictures and detections.json: {out}"])


def _counted(detections: list[dict[str, object]]) -> str:
    names = [str(d["class"]) for d in detections]
    return ", ".join(f"{names.count(name)} {name}" for name in sorted({*names})) or "nothing found"
