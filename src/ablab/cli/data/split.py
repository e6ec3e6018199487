"""`ablab data split PATH`: divide a data set into parts or folds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Json, answering
from ablab.cli.data.progress import stages


def split(
    path: Annotated[Path, typer.Argument(help="The data set's folder or file.")],
    parts: Annotated[
        str | None,
        typer.Option("--parts", metavar="6:2:2", help="train:validation:test, or train:validation as in 8:2."),
    ] = None,
    folds: Annotated[
        int | None, typer.Option("--folds", help="So many equal folds instead, for cross-validation.")
    ] = None,
    stratify: Annotated[
        bool,
        typer.Option("--stratify/--no-stratify", help="Give every part its share of every class, or deal by chance."),
    ] = True,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            metavar="REGEX",
            help="Keep images together whose ids agree in this expression's first bracket, or in the whole of it; "
            "'group' for the groups that the data set states (used anyway where it has some).",
        ),
    ] = None,
    take: Annotated[
        str | None,
        typer.Option("--from", metavar="SPLITS", help="Divide only these, as in train,validation; keep others."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    out: Annotated[Path, typer.Option("--out", help="The file to write; a recipe's data.splits takes it.")] = Path(
        "splits.csv"
    ),
    json: Json = False,
) -> None:
    """Divide a data set: every class in every part, groups and copies of an image together, the same for a seed."""
    with answering(json) as answer:
        from ablab.reports.listings import class_table
        from ablab.tasks.detection.formats.census import census
        from ablab.tasks.detection.formats.layouts.recognise import read_layout
        from ablab.tasks.detection.formats.split import Wish, divide, read_parts, write_division

        wish = Wish(
            read_parts(parts) if parts else (),
            folds,
            stratify,
            group,
            seed,
            tuple(each.strip() for each in take.split(",")) if take else (),
        )
        with stages() as progress:
            division = divide(read_layout(path), wish, progress)
        write_division(division, out)
        rows = census(division.parts, division.classes)
        sizes = {part: len(images) for part, images in division.parts.items()}
        named = {part: f"{'fold ' * part.isdecimal()}{part}: {count:,} images" for part, count in sizes.items()}
        shown = [{"class": row["class"]} | {name: row[part] for part, name in named.items()} for row in rows]
        use = "--set data.splits=" + str(out) + (" --set data.fold=0" if folds else "")
        answer(
            {
                "path": path,
                "out": out,
                "column": division.column,
                "parts": sizes,
                "classes": rows,
                "notes": division.notes,
            },
            [class_table(shown, [*named.values()]), *division.notes, f"{out}: use it with {use}"],
        )
