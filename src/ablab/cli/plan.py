"""`ablab plan STUDY`: build and check every arm before anything trains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablab.cli.answer import Data, Json, Plugins, Sets, answering, display, settings

StudyFile = Annotated[Path, typer.Argument(help="The study file (YAML).")]


def plan(study: StudyFile, data: Data = None, set: Sets = None, plugin: Plugins = None, json: Json = False) -> None:
    """Build every arm and print sites, shapes, cost, time and detectable effect; nothing trains."""
    with answering(json) as answer:
        from ablab.reports.listings import plan_tables
        from ablab.study import plan as planning
        from ablab.study import spec

        asked = spec.load(study, settings(set, data, "baseline."))
        with display() as shown:
            document = planning.plan(asked, [*(plugin or [])], shown)
        answer(document, plan_tables(document))
