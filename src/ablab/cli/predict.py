"""`ablab predict RUN SOURCE...`: objects in images, videos, cameras and streams."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablab.cli.answer import Folder, Json, Plugins, Sets, answering, display, settings
from ablab.errors import ConfigError

if TYPE_CHECKING:
    from ablab.predict.work import Tally

LINES = 50  # sources that are listed one by one


class Form(StrEnum):
    """How results are written; the names of `predict.writing.FORMS`, which would load torch."""

    JSON = "json"
    COCO = "coco"
    YOLO = "yolo"
    CSV = "csv"


def predict(
    run: Annotated[Path, typer.Argument(help="A run's folder, or a bundle's.")],
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...", help="Images, folders, patterns, videos, a camera's number, rtsp:// http://"
        ),
    ],
    folder: Folder = None,
    forms: Annotated[
        list[Form] | None, typer.Option("--format", help="What is written; may be repeated. [default: json]")
    ] = None,
    draw: Annotated[bool, typer.Option("--draw/--no-draw", help="Draw pictures and videos.")] = True,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold", metavar="SCORE|CLASS=SCORE", help="Least score. [default: those chosen on validation]"
        ),
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--classes", metavar="NAME,...", help="Only these classes; may be repeated.")
    ] = None,
    tile: Annotated[
        int | None, typer.Option("--tile", min=32, help="Cut large images into windows of so many pixels.")
    ] = None,
    overlap: Annotated[
        float | None, typer.Option("--overlap", min=0, max=0.9, help="The share that windows overlap. [default: 0.2]")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images that go through the network together.")] = 16,
    runtime: Annotated[
        str | None,
        typer.Option("--runtime", help="Of a bundle: onnx, openvino, torch, ... [default: the fastest here]"),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="End after so many images and frames.")] = None,
    ids: Annotated[
        Path | None, typer.Option("--ids", help="A COCO file whose image and category ids --format coco is to use.")
    ] = None,
    sets: Sets = None,
    plugins: Plugins = None,
    json: Json = False,
) -> None:
    """Detect objects; writes pictures or videos with what is found, and files in the formats asked for.

    What cannot be read is named, and the rest still done; then the exit code is 1. `--set postprocess.nms=soft` and the
    like change how the run's boxes are suppressed.
    """
    with answering(json) as answer:
        names = [form.value for form in forms or [Form.JSON]]
        if ids and "coco" not in names:
            raise ConfigError("--ids would do nothing without --format coco; add it, or leave --ids out")
        from ablab import registry
        from ablab.export import is_bundle
        from ablab.predict.asked import ask
        from ablab.predict.shipped import open_model
        from ablab.predict.sources import expand
        from ablab.predict.work import work
        from ablab.study.single import run_folder

        registry.load_plugins(plugins or [])
        if not run.is_file() and not is_bundle(run):
            run_folder(run)  # the first word is looked at first, but opened last, for that takes seconds
        found = expand(sources)
        out = folder or Path("predictions")
        with display() as shown:
            model = open_model(run, settings(sets), runtime=runtime, batch=batch, say=shown.say)
            wanted = _classes(classes, model.classes)
            asked = ask(model.thresholds, _thresholds(threshold, model.thresholds), wanted, tile, overlap)
            tally = work(model, found, asked, out, shown, forms=names, draw=draw, ids=ids, most=limit)
        answer(_document(tally, out, names), _lines(tally, out))
    if tally.failed:
        raise typer.Exit(1)


def _classes(given: list[str] | None, known: tuple[str, ...]) -> list[str] | None:
    """The names in `--classes`; what is a class as it stands is not taken apart at its commas."""
    if given is None:
        return None
    return [name for word in given for name in ([word] if word in known else filter(None, word.split(",")))]


def _thresholds(given: list[str] | None, own: dict[str, float]) -> dict[str, float] | None:
    """What `--threshold` says, by class; a bare number is for all that are not named."""
    if given is None:
        return None
    named: dict[str, float] = {}
    common: dict[str, float] = {}
    for word in given:
        name, equals, value = word.rpartition("=")
        try:
            score = float(value)
        except ValueError:
            raise ConfigError(f"--threshold wants SCORE or CLASS=SCORE, got '{word}'") from None
        if equals:
            named[name] = score
        else:
            common = dict.fromkeys(own, score)
    return common | named


def _document(tally: Tally, out: Path, forms: list[str]) -> dict[str, Any]:
    """The answer for scripts: detections.json where it is written, the totals otherwise."""
    if "json" in forms:
        from ablab.records import read_json

        document: dict[str, Any] = read_json(out / "detections.json")
        return document
    failed = [{"image": each.source, "error": each.error} for each in tally.failed]
    return {"folder": out, "count": tally.total, "failed": failed, "seconds": tally.seconds}


def _lines(tally: Tally, out: Path) -> list[Any]:
    from rich.text import Text  # as it stands: a file's name may look like markup

    rows = [
        f"{source}: {_frames(tally.images[source])}"
        + (", ".join(f"{count} {name}" for name, count in sorted(found.items())) or "nothing found")
        for source, found in list(tally.found.items())[:LINES]
    ]
    more = [f"... and {len(tally.found) - LINES} more"] if len(tally.found) > LINES else []
    speed = f", {tally.total / tally.seconds:.1f} a second" if tally.total else ""
    failed = f", {len(tally.failed)} failed" if tally.failed else ""
    images = "1 image" if tally.total == 1 else f"{tally.total} images"
    return [Text(line) for line in (*rows, *more, f"{images}{speed}{failed}: {out}")]


def _frames(count: int) -> str:
    return f"{count} frames, " if count > 1 else ""
