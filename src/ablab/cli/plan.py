"""`ablab plan STUDY`: build and check every arm before anything trains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablab.cli.answer import Data, Json, Plugins, Sets, answering, display, settings

if TYPE_CHECKING:
    from ablab.study.spec import Study

StudyFile = Annotated[Path, typer.Argument(help="The study file (YAML).")]
Only = Annotated[str | None, typer.Option("--only", metavar="NAMES", help="Some of the changes: frelu,cbam.")]


def asked_for(file: Path, only: str | None, overrides: dict[str, Any]) -> Study:
    """The study of a file, or as much of it as was asked for."""
    from ablab.study import spec

    study = spec.load(file, overrides)
    return spec.only(study, [name.strip() for name in only.split(",")]) if only else study


def plan(
    study: StudyFile, data: Data = None, only: Only = None, set: Sets = None, plugin: Plugins = None, json: Json = False
) -> None:
    """Build every arm and print sites, shapes, cost, time and detectable effect; nothing trains."""
    with answering(json) as answer:
        from ablab.reports.listings import plan_tables
        from ablab.study import plan as planning

        asked = asked_for(study, only, settings(set, data, "baseline."))
        with display() as shown:
            document = planning.plan(asked, [*(plugin or [])], shown)
        answer(document, plan_tables(document))
