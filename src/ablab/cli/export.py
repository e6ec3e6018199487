"""`ablab export RUN --to FORMAT`: a bundle that runs elsewhere, with proof that it is the same model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablab.cli.answer import Data, Json, Plugins, answering, display

if TYPE_CHECKING:
    from ablab.engine.events import Display
    from ablab.export.bundle import Bundle

IMAGES = 16  # of the validation split, for the raw outputs


def export(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            help="onnx, openvino, openvino-fp16, onnx-int8, openvino-int8, torch-export, tensorrt; several. "
            "[default: onnx]",
        ),
    ] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where the bundle goes.", file_okay=False)] = Path("bundle"),
    nms: Annotated[bool, typer.Option("--nms", help="An ONNX model with suppression inside as well.")] = False,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance", min=0, help="Most that AP may differ. [default: 0.001; bf16 and fp16: 0.005; int8: 0.01]"
        ),
    ] = None,
    licence: Annotated[str, typer.Option("--licence", help="Under which the model may be used.")] = "not stated",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="[default: the recipe's]")] = None,
    data: Data = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Export a run, check every format against the network on the validation split, and write a bundle."""
    with answering(json) as answer:
        from ablab.registry import load_plugins

        load_plugins([*(plugin or [])])
        with display() as shown:
            bundle = _export(run, folder, to or ["onnx"], nms, tolerance, licence, threads, data, shown)
        answer(bundle.card.model_dump(mode="json") | {"folder": str(folder)}, [_table(bundle), f"bundle: {folder}"])


def _export(
    run: Path,
    folder: Path,
    to: list[str],
    nms: bool,
    tolerance: float | None,
    licence: str,
    threads: int | None,
    data: Path | None,
    shown: Display,
) -> Bundle:
    import torch

    from ablab.config import fingerprint
    from ablab.engine.evaluate import evaluate
    from ablab.errors import ConfigError
    from ablab.export.bundle import Card, Preprocessing, Provenance, is_bundle
    from ablab.export.parity import TOLERANCE, TOLERANCE_INT8, TOLERANCE_REDUCED
    from ablab.export.ship import Model, ship
    from ablab.study.after import training_images
    from ablab.study.restore import restore
    from ablab.study.single import run_folder
    from ablab.study.train import scores

    place = run_folder(run)
    if is_bundle(place):
        raise ConfigError(f"{place} is a bundle already; give the folder of the run that it was made of")
    task, network, arm, settings = restore(place, str(data) if data else None)
    recipe: Any = task.recipe
    plain = recipe.train.model_copy(update={"precision": "fp32", "device": "cpu", "workers": 0})
    square = recipe.postprocess.model_copy(update={"rectangular": False})
    exact = recipe.model_copy(update={"train": plain, "postprocess": square})
    torch.set_num_threads(threads or recipe.train.threads)
    task = type(task)(exact, facts=task.facts())  # type: ignore[call-arg]
    splits = task.data((arm.stream, 0))

    def score(model: torch.nn.Module) -> float:
        items = evaluate(task, model, splits.validation, exact, events=shown)
        return scores(task.meter(), items, settings)["AP"]

    samples = [splits.validation[0, index] for index in range(min(IMAGES, len(splits.validation)))]
    card = Card(
        task=recipe.task,
        classes=splits.classes,
        preprocessing=Preprocessing(image_size=recipe.train.image_size, fill=_fill()),
        thresholds=settings,
        postprocess=square.model_dump(mode="json"),
        provenance=Provenance(recipe=fingerprint(arm.recipe), **_provenance(place, splits.manifest)),
        licence=licence,
        metric="AP",
        tolerance=TOLERANCE if tolerance is None else tolerance,
        tolerance_reduced=TOLERANCE_REDUCED if tolerance is None else tolerance,
        tolerance_int8=TOLERANCE_INT8 if tolerance is None else tolerance,
    )
    images = task.collate(samples)["images"].permute(0, 2, 3, 1).contiguous().numpy()
    training = training_images(task, splits.plain) if any("int8" in name for name in to) else None
    return ship(Model(network, images, score, place, training), card, folder, to, nms, shown.say)


def _fill() -> int:
    from ablab.tasks.detection.augment.letterbox import GREY

    return GREY


def _provenance(place: Path, manifest: str) -> dict[str, Any]:
    from ablab import __version__
    from ablab.engine.precision import processor
    from ablab.records import read_record

    record = read_record(place / "record.json")
    key = record.key
    run = {"study": key.study, "arm": key.arm, "seed": key.seed, "fingerprint": key.fingerprint}
    return run | {"ablab": __version__, "manifest": manifest, "scores": record.scores, "machine": processor()}


def _table(bundle: Bundle) -> Any:
    from rich import box
    from rich.table import Table

    from ablab.export.runners import RUNTIMES
    from ablab.export.ship import BATCHES

    card = bundle.card
    before = next(iter(card.runtimes.values())).before
    table = Table(box=box.SIMPLE, title=f"parity; {card.metric} of the network itself on validation: {before:.4f}")
    table.add_column("runtime", no_wrap=True)
    for name in ("MB", "boxes px", "scores", f"{card.metric} after"):
        table.add_column(name, justify="right")
    for batch in BATCHES:
        table.add_column(f"ms at {batch}", justify="right")
    for name, entry in card.runtimes.items():
        size = sum(card.files[file].bytes for file in RUNTIMES[name].files) / 1e6
        raw = ["-" if value is None else f"{value:.1g}" for value in (entry.boxes, entry.scores)]
        after = f"{entry.after:.4f}" + ("" if entry.passed else " (too far off)")
        ms = [f"{entry.ms[str(batch)]:.1f}" for batch in BATCHES]
        table.add_row(name, f"{size:.1f}", *raw, after, *ms)
    return table
