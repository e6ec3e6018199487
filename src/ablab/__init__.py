"""ablab: which of your changes help, by how much, how sure, and at what cost.

    import ablab

    study = ablab.load("studies/bccd.yaml")
    print(ablab.plan(study)["hours"])
    outcome = ablab.run(study, "runs/bccd")
    ablab.report("runs/bccd")

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablab.registry import register

if TYPE_CHECKING:
    from ablab import surgery as surgery
    from ablab.study.spec import Study

__version__ = "0.1.0"
__all__ = ["load", "plan", "register", "report", "run", "surgery"]


def load(path: str | Path, changes: dict[str, Any] | None = None) -> Study:
    """Read a study file; `changes` are dotted overrides such as {"baseline.train.epochs": 5}.

    Raises ConfigError for an unknown key, name or type.
    """
    from ablab.study import spec

    return spec.load(Path(path), changes)


def plan(study: Study, plugins: Sequence[str | Path] = ()) -> dict[str, Any]:
    """Build and check every arm; sites, shapes, cost, hours and detectable effect as plain data. Nothing trains.

    Raises UserError naming every arm that cannot be built.
    """
    from ablab.engine.events import Silent
    from ablab.study import plan as planning

    return planning.plan(study, [Path(p) for p in plugins], Silent())


def run(
    study: Study, folder: str | Path | None = None, *, jobs: int | None = None, plugins: Sequence[str | Path] = ()
) -> dict[str, Any]:
    """Train what is missing, judge, and close; returns the verdicts as plain data.

    Call it under `if __name__ == "__main__":` in a script, as runs are processes of their own.
    """
    from ablab.engine.events import shown
    from ablab.study import run as running

    place = Path(folder) if folder else Path("runs") / study.name
    with shown() as display:
        return running.run(study, place, jobs=jobs, plugins=[Path(p) for p in plugins], display=display)


def report(folder: str | Path) -> dict[str, Path]:
    """Write a study's report (HTML, Markdown, CSV, JSON); returns {format: path}."""
    from ablab import reports

    return reports.write(Path(folder))


def __getattr__(name: str) -> Any:
    if name == "surgery":
        return importlib.import_module("ablab.surgery")
    raise AttributeError(f"module 'ablab' has no attribute '{name}'; it has {', '.join(__all__)}")
