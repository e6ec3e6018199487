"""`ablab lr`: the learning rate range test, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Data, Folder, Json, Plugins, Sets, answering, display, settings


def lr(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe, or a study whose baseline is meant (YAML).")] = None,
    data: Data = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    steps: Annotated[int, typer.Option("--steps", help="Optimizer steps from the lowest to the highest rate.")] = 100,
    low: Annotated[float, typer.Option("--low", help="The rate of the first step.")] = 1e-6,
    high: Annotated[float, typer.Option("--high", help="The rate of the last step, if the loss bears it.")] = 1.0,
    folder: Folder = None,
    set: Sets = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Find the range of learning rates that a network bears: a short training at growing rates; nothing is kept of it.

    Writes lr.png and lr.json into the folder (runs/lr).
    """
    with answering(json) as answer:
        from ablab.records import write_bytes, write_json
        from ablab.reports.listings import rate_table
        from ablab.reports.rates import rate_picture
        from ablab.study.rates import try_rates

        overrides = settings(set, data)
        with display() as shown:
            found, made = try_rates(recipe, overrides, seed, [*(plugin or [])], shown, steps=steps, low=low, high=high)
        named = {"steepest": found.steepest, "largest usable": found.largest, "the recipe's": made.optimizer.lr}
        marks = {name: rate for name, rate in named.items() if rate is not None}
        place = folder or Path("runs") / "lr"
        picture = place / "lr.png"
        within = {name: rate for name, rate in marks.items() if low <= rate <= high}
        write_bytes(picture, rate_picture(found.rates, found.losses, found.smoothed, within))
        document = {
            "steepest": found.steepest,
            "largest": found.largest,
            "broke": found.broke,
            "recipe": made.optimizer.lr,
            "reasons": list(found.reasons),
            "picture": str(picture),
        }
        curve = {"rates": found.rates, "losses": found.losses, "smoothed": found.smoothed}
        write_json(place / "lr.json", document | curve)
        answer(document, [rate_table(named, found.broke), *found.reasons, f"picture: {picture}"])
