"""`ablab train`: one model, without a study."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Data, Folder, Json, Plugins, Sets, Trackers, answering, display, settings


def train(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe, or a study whose baseline is meant (YAML).")] = None,
    data: Data = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    folder: Folder = None,
    set: Sets = None,
    plugin: Plugins = None,
    tracker: Trackers = None,
    json: Json = False,
) -> None:
    """Train one model and score it on validation."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # under torchrun, every rank's DDP warns of what we ask for
    with answering(json) as answer:
        from ablab.engine.distributed import follows
        from ablab.reports.listings import score_table
        from ablab.study import single
        from ablab.study.trackers.mirror import mirroring

        overrides = settings(set, data)
        if follows():
            single.follow(recipe, overrides, seed, folder, [*(plugin or [])])
            return
        where = folder or Path("runs") / "train"
        with display() as shown, mirroring(where, tracker or (), "train", shown.row("")):
            record, place = single.train(recipe, overrides, seed, folder, [*(plugin or [])], shown)
        document = {"status": record.status, "error": record.error, "folder": place, "scores": record.scores}
        document |= {"settings": record.settings, "cost": record.cost, "notes": record.notes}
        answer(
            document, [score_table(record.scores), *record.notes, f"run: {place}"] if record.status == "done" else ""
        )
        if record.status != "done":
            typer.secho(f"{record.status}: {record.error}", fg="red", err=True)
            raise typer.Exit(1)
