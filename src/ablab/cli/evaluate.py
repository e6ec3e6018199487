"""`ablab eval`: a run of ours on a split, or anybody's COCO files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Data, Json, answering, display
from ablab.errors import ConfigError


def evaluate(
    run: Annotated[Path | None, typer.Argument(help="A run's folder.")] = None,
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "validation",
    data: Data = None,
    truth: Annotated[Path | None, typer.Option("--truth", help="COCO ground truth (instances.json).")] = None,
    detections: Annotated[Path | None, typer.Option("--detections", help="COCO results (results.json).")] = None,
    json: Json = False,
) -> None:
    """Score a run on a split, or COCO detections against COCO ground truth."""
    with answering(json) as answer:
        if (run is None) == (truth is None) or (truth is None) != (detections is None):
            raise ConfigError("expected either a run's folder, or both --truth and --detections")
        if truth is not None and detections is not None:
            from ablab.reports.listings import figures_table
            from ablab.tasks.detection.metrics.coco_figures import evaluate_files

            figures = evaluate_files(truth, detections)
            answer(figures, figures_table(figures))
            return
        from ablab.reports.listings import score_table
        from ablab.study import single

        assert run is not None
        with display() as shown:
            scores, notes = single.evaluate(run, split, str(data) if data else None, shown)
        answer({"split": split, "scores": scores, "notes": notes}, [score_table({split: scores}), *notes])
