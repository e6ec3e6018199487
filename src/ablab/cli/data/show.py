"""`ablab data show PATH`: a contact sheet of a data set, and what its splits hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablab.cli.answer import Json, Plugins, Sets, answering, display, settings
from ablab.errors import ConfigError, suggest

if TYPE_CHECKING:
    from ablab.tasks.detection.sheet import Tile


def show(
    path: Annotated[str, typer.Argument(help="The data set's folder or file, or photo-digits.")],
    split: Annotated[str | None, typer.Option("--split", help="Which split. [default: train]")] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=400, help="So many images.")] = 24,
    out: Annotated[Path, typer.Option("--out", help="The picture to write.")] = Path("sheet.png"),
    only: Annotated[str | None, typer.Option("--class", help="Only images with a box of this class.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which images, and which augmentation.")] = 0,
    augmented: Annotated[bool, typer.Option("--augmented", help="What training sees, by the recipe's --set.")] = False,
    set: Sets = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Write a contact sheet (PNG) of images with their boxes, and print the classes of every split."""
    with answering(json) as answer:
        from ablab import registry
        from ablab.config import override
        from ablab.engine.events import working
        from ablab.records import write_bytes
        from ablab.reports.listings import class_table
        from ablab.tasks.detection.draw import encode_png
        from ablab.tasks.detection.formats.census import census
        from ablab.tasks.detection.sheet import Tile, contact_sheet

        registry.load_plugins([*(plugin or [])])
        _refuse_idle([*(set or [])], augmented)
        recipe = override(registry.task_recipe("detection")(), settings(set, Path(path)), "--set")
        with display() as shown:
            with working(shown, "read the data", 1):
                kind, classes, splits = _read(recipe, augmented)
            split = _split(split, splits, augmented)
            images = _chosen(splits[split], classes, only, count, seed)
            with working(shown, "draw the sheet", 1):
                tiles = _augmented(recipe, images, seed) if augmented else [Tile.of(image) for image in images]
                name = f"{Path(path).resolve().name} · {split}{' · augmented' if augmented else ''}"
                note = f"{len(images):,} of {len(splits[split]):,} images"
                note += f", with a box of class {only}" if only else ""
                write_bytes(out, encode_png(contact_sheet(name, note, tiles, classes, only), small=False))
        rows = census(splits, classes)
        document = {"path": path, "layout": kind, "split": split, "out": out, "images": [a.id for a in images]}
        answer(document | {"classes": rows}, [class_table(rows, [*splits]), f"{note}: {out}"])


def _refuse_idle(sets: list[str], augmented: bool) -> None:
    """What an image shows depends on the data alone, unless it is augmented (trap 1: nothing is ignored)."""
    idle = [pair for pair in sets if not pair.startswith("data.")]
    if idle and not augmented:
        raise ConfigError(f"--set {idle[0]} would do nothing here: without --augmented images are shown as they are")


def _read(recipe: Any, augmented: bool) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """Layout, classes and splits: as they are on the disk, or as training would open them where the recipe decides."""
    from ablab.tasks.detection.formats.dataset import open_dataset
    from ablab.tasks.detection.formats.layouts.recognise import PHOTO_DIGITS, read_layout
    from ablab.tasks.detection.recipe import DetectionData

    path = recipe.data.path
    if augmented or path == PHOTO_DIGITS or recipe.data != DetectionData(path=path):
        dataset = open_dataset(recipe.data)
        return PHOTO_DIGITS if path == PHOTO_DIGITS else "recipe", dataset.classes, dataset.splits
    layout = read_layout(Path(path))
    return layout.kind, layout.classes, layout.splits


def _split(asked: str | None, splits: dict[str, Any], augmented: bool) -> str:
    default = "train" if "train" in splits else next(iter(splits))
    split = asked or default
    if split not in splits:
        raise ConfigError(f"unknown split '{split}'{suggest(split, splits)}")
    if augmented and split != default:
        raise ConfigError(f"--augmented shows what training sees, and it sees nothing of {split}")
    return split


def _chosen(images: Any, classes: tuple[str, ...], only: str | None, count: int, seed: int) -> list[Any]:
    """`count` images drawn by `seed`, in the order of the data set."""
    from ablab.streams import stream

    if only is not None:
        if only not in classes:
            raise ConfigError(f"unknown class '{only}'{suggest(only, classes)}")
        images = [image for image in images if classes.index(only) in image.labels]
    if not images:
        raise ConfigError(f"there is no image{f' with a box of class {only}' if only else ''} to show in this split")
    order = stream("show", seed).permutation(len(images))[:count]
    return [images[index] for index in sorted(order)]


def _augmented(recipe: Any, images: list[Any], seed: int) -> list[Tile]:
    """Samples of the first epoch, from a training under this seed."""
    from ablab import registry
    from ablab.tasks.detection.sheet import Tile

    samples = registry.task("detection")[1](recipe).data(("show", seed)).train
    index = {id: number for number, id in enumerate(samples.ids)}
    return [Tile.of_sample(samples[0, index[image.id]]) for image in images]
